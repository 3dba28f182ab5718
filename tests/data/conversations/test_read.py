"""Conversations: every way that people write them, and every fault with its record, line and fix."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from showtell.data.conversations.conversation import Conversation, Message
from showtell.data.conversations.read import conversation_files, known_formats, read_conversations
from showtell.data.conversations.write import write_conversations
from showtell.errors import UsageError, UserError

ASKED = Message("user", "<image>提取信息")
ANSWER = Message("assistant", '[{"文字材料类别": "营业执照"}]')
USER = {"role": "user", "content": ASKED.content}
SAYS = {"role": "assistant", "content": ANSWER.content}
RECORD = {"messages": [USER, SAYS], "images": ["材料 1.png"]}
PLAIN = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("材料 1.png", "scans/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / name)
    return tmp_path


def read(folder: Path, records: Any, name: str = "data.json") -> list[Conversation]:
    text = records if isinstance(records, str) else json.dumps(records, ensure_ascii=False, indent=1)
    (folder / name).write_text(text, "utf-8")
    source = read_conversations(folder / name)
    assert source.problems == []
    return source.conversations


@pytest.mark.parametrize(
    "record",
    [
        RECORD,
        {**RECORD, "images": "材料 1.png"},
        {"messages": [USER, SAYS], "image": "材料 1.png"},
        {**RECORD, "images": [{"path": "材料 1.png", "bytes": None}]},
        {**RECORD, "images": ["%E6%9D%90%E6%96%99%201.png"]},
        {**RECORD, "images": [".\\材料 1.png"]},
        {
            "conversations": [
                {"from": "human", "value": ASKED.content},
                {"from": "gpt", "value": ANSWER.content},
            ],
            "images": ["材料 1.png"],
        },
        {"instruction": "<image>提取信息", "input": "", "output": ANSWER.content, "images": ["材料 1.png"]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "提取信息"}]},
                SAYS,
            ],
            "images": ["材料 1.png"],
        },
    ],
)
def test_each_way_to_write_one_conversation(folder: Path, record: dict[str, Any]) -> None:
    (found,) = read(folder, [record])
    assert found == Conversation((ASKED, ANSWER), (folder / "材料 1.png",))
    assert found.where == "record 1 of data.json (line 2)"


def test_lists_lines_and_single_objects(folder: Path) -> None:
    expected = read(folder, [RECORD, PLAIN])
    lines = [json.dumps(one) for one in (RECORD, PLAIN)]
    assert read(folder, "\ufeff" + "\n\n".join(lines), "lines.jsonl") == expected
    assert read(folder, "\n".join(lines), "lines.json") == expected
    assert read(folder, RECORD, "one.json") == expected[:1]
    (folder / "wide.json").write_text(json.dumps([RECORD, PLAIN]), "utf-16")
    assert read_conversations(folder / "wide.json").conversations == expected


def test_system_messages_tools_and_splits(folder: Path) -> None:
    system = Message("system", "你是助手")
    tool = [
        {"role": "user", "content": "sum?"},
        {"role": "function_call", "content": "add(1, 2)"},
        {"role": "observation", "content": "3"},
        {"role": "assistant", "content": "It is 3."},
    ]
    first, second, third = read(
        folder,
        [
            {**PLAIN, "system": "你是助手"},
            {"messages": [{"role": "system", "content": "你是助手"}, *PLAIN["messages"]]},
            {"messages": tool},
        ],
        "zizhi_train.json",
    )
    assert first == second
    assert first.messages[0] == system
    assert [one.role for one in third.messages] == ["user", "function", "tool", "assistant"]
    assert [one.answers for one in third.messages] == [False, True, False, True]
    assert first.split == "train"


MESSAGES = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
FAULTS = [
    (5, "is no object", "messages"),
    ({"texts": []}, "has no 'messages', only 'texts'", "messages"),
    ({"messages": []}, "no list of messages", "role"),
    ({"messages": ["Hi"]}, "message 1 is a text, not an object", "role"),
    ({"messages": [{"from": "user", "value": "Hi"}]}, "message 1 has no 'role', only 'from'", "dataset_info"),
    ({"messages": [{"role": "boss", "content": "Hi"}]}, "message 1 has the role 'boss'", "user"),
    (
        {"messages": [MESSAGES[0], {"role": "assistant", "content": [{"名称": "a"}]}]},
        "message 2 is a list, not a text",
        r'"[{\"名称\": \"a\"}]"',
    ),
    (
        {"messages": [MESSAGES[0], {"role": "assistant", "content": {"a": 1}}]},
        "message 2 is an object",
        "text",
    ),
    ({"messages": [MESSAGES[0], {"role": "assistant", "content": None}]}, "message 2 is null", "text"),
    (
        {"messages": [MESSAGES[0], {"role": "assistant", "content": " "}]},
        "message 2, of the assistant, is",
        "",
    ),
    ({"messages": [{"role": "user", "content": "\ud83d"}, MESSAGES[1]]}, "half a character at 0", "whole"),
    ({"messages": MESSAGES[:1]}, "the last message is user", "assistant's answer"),
    ({"messages": MESSAGES[1:]}, "the first message is the assistant's", "question"),
    ({"messages": [*MESSAGES[:1], *MESSAGES]}, "user and user follow one another", "alternate"),
    ({"messages": [*MESSAGES, {"role": "system", "content": "x"}]}, "message 3 is the system's", "first"),
    ({"messages": [{"role": "system", "content": "x"}, *MESSAGES], "system": "y"}, "two system messages", ""),
    (
        {"messages": MESSAGES, "images": ["材料 1.png"]},
        "0 <image> in the messages and 1 in images",
        "<image>",
    ),
    ({"messages": [USER, SAYS]}, "1 <image> in the messages and 0 in images", "<image>"),
    ({"messages": [USER, SAYS], "images": ["gone.png"]}, "the image 'gone.png' is missing", "put it under"),
    ({"messages": [USER, SAYS], "images": [7]}, "7 names no image", "name"),
    ({"messages": [USER, SAYS], "images": 7}, "images is no list of files", "file.png"),
    (
        {"messages": [MESSAGES[0], {"role": "assistant", "content": "<image>"}], "images": ["材料 1.png"]},
        "message 2, an answer, contains <image>",
        "only questions",
    ),
    ({"messages": MESSAGES, "videos": ["a.mp4"]}, "has videos", "delete"),
    ({"messages": MESSAGES, "tools": "[]"}, "has tools", "system"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, MESSAGES[1]]},
        "a part of the type 'image_url'",
        "images",
    ),
]


@pytest.mark.parametrize(("record", "what", "fix"), FAULTS)
def test_each_fault_is_named_with_record_line_and_fix(folder: Path, record: Any, what: str, fix: str) -> None:
    file = folder / "data.json"
    file.write_text(json.dumps([PLAIN, record]).replace(", ", ",\n"), "utf-8")
    line = json.dumps([PLAIN]).count(", ") + 2
    source = read_conversations(file)
    assert len(source.conversations) == 1
    (problem,) = source.problems
    assert (problem.file, problem.line) == (file, line)
    assert problem.what.startswith("record 2: ")
    assert what in problem.what
    assert fix in problem.fix


def test_an_image_outside_the_folder_is_refused(folder: Path) -> None:
    for name in ("../材料 1.png", str(folder / "材料 1.png"), "link.png"):
        (folder / "scans/data.json").write_text(json.dumps([PLAIN, {**RECORD, "images": [name]}]))
        if name == "link.png":
            (folder / "scans/link.png").symlink_to(folder / "材料 1.png")
        (problem,) = read_conversations(folder / "scans/data.json").problems
        assert "lies outside" in problem.what


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (f"[{json.dumps(PLAIN)},\n{{'a': 1}}]", 2, "is no JSON at column 2"),
        (f"[{json.dumps(PLAIN)},\n", 2, "the list is never closed"),
        (f"[{json.dumps(PLAIN)}\n{json.dumps(PLAIN)}]", 2, "no comma between two records"),
        (f"[{json.dumps(PLAIN)}]\n[]", 1, "something follows the list"),
        (f'{json.dumps(PLAIN)}\n{{"messages": [}}\n{json.dumps(PLAIN)}', 2, "is no JSON at column 15"),
    ],
)
def test_broken_files_are_read_as_far_as_they_can_be(folder: Path, text: str, line: int, what: str) -> None:
    (folder / "data.json").write_text(text)
    source = read_conversations(folder / "data.json")
    assert source.conversations
    (problem,) = source.problems
    assert problem.line == line
    assert what in problem.what


def test_what_is_not_utf_8_is_not_read(folder: Path) -> None:
    (folder / "data.json").write_bytes(json.dumps([PLAIN]).encode().replace(b"Hello", b"H\xe9llo"))
    with pytest.raises(UserError, match=r"data\.json:1: is not UTF-8; save the file as UTF-8"):
        read_conversations(folder / "data.json")


def test_dataset_info_says_what_fields_are_called(folder: Path) -> None:
    theirs = {
        "chat": [{"who": "Q", "says": ASKED.content}, {"who": "A", "says": ANSWER.content}],
        "pages": ["材料 1.png"],
    }
    (folder / "zizhi.json").write_text(json.dumps([theirs]))
    (folder / "plain.json").write_text(json.dumps([{"instruction": "Hi", "output": "Hello"}]))
    said = {
        "zizhi": {
            "file_name": "zizhi.json",
            "formatting": "sharegpt",
            "columns": {"messages": "chat", "images": "pages"},
            "tags": {"role_tag": "who", "content_tag": "says", "user_tag": "Q", "assistant_tag": "A"},
        },
        "plain": {"file_name": "plain.json"},
    }
    (folder / "dataset_info.json").write_text(json.dumps(said))
    (found,) = read_conversations(folder / "zizhi.json").conversations
    assert found == Conversation((ASKED, ANSWER), (folder / "材料 1.png",))
    for path in (folder, folder / "dataset_info.json"):
        assert len(read_conversations(path).conversations) == 2
    said["far"] = {"hf_hub_url": "someone/data"}
    said["gone"] = {"file_name": "gone.json"}
    said["pairs"] = {"file_name": "plain.json", "ranking": True}
    (folder / "dataset_info.json").write_text(json.dumps(said))
    problems = read_conversations(folder).problems
    assert len(problems) == 3
    for name, problem in zip(("far", "gone", "pairs"), problems, strict=True):
        assert repr(name) in problem.what


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_formats_round_trip(folder: Path, suffix: str) -> None:
    system = {"role": "system", "content": "你是\n助手"}
    first = read(
        folder, [RECORD, PLAIN, {"messages": [system, USER, SAYS, *MESSAGES], "images": ["scans/b.png"]}]
    )
    before = first
    for format in ("conversations", "alpaca", "messages"):
        file = folder / f"{format}.{suffix}"
        write_conversations(before, file, format)
        before = read_conversations(file).conversations
        assert read_conversations(file).format == format
        assert before == first
    assert "你是" in file.read_text("utf-8")
    assert json.dumps("材料 1.png", ensure_ascii=False) in file.read_text("utf-8")


def test_what_a_format_cannot_hold_is_refused(folder: Path) -> None:
    found = read(folder, [RECORD])
    with pytest.raises(UsageError, match="no format 'sharegpt' of conversations, only alpaca"):
        write_conversations(found, folder / "out.json", "sharegpt")
    with pytest.raises(UsageError, match=r"材料 1\.png lies outside"):
        write_conversations(found, folder / "scans/out.json", "messages")
    call = Conversation((Message("user", "sum?"), Message("function", "add()")), where="record 1 of a.json")
    with pytest.raises(UsageError, match=r"record 1 of a\.json has a message of the function"):
        write_conversations([call], folder / "out.json", "alpaca")
    assert not (folder / "out.json").exists()


def test_only_conversations_are_taken_for_such(folder: Path) -> None:
    (folder / "captions.json").write_text('[{"image": "a.jpg", "caption": "messages"}]')
    assert conversation_files(folder) == conversation_files(folder / "captions.json") == []
    (folder / "data.jsonl").write_text(json.dumps(PLAIN))
    assert conversation_files(folder) == [folder / "data.jsonl"]
    assert set(known_formats()) == {"alpaca", "conversations", "messages"}
    with pytest.raises(UserError, match=r"holds no usable conversation. Looked for:\n  alpaca: "):
        read_conversations(folder / "captions.json")
    with pytest.raises(UserError, match="does not exist"):
        read_conversations(folder / "gone.json")


def test_the_verbs(ask, folder: Path) -> None:
    file = folder / "资质.json"
    file.write_text(json.dumps([RECORD, PLAIN]), "utf-8")
    status, (report,), _ = ask("data", "check", file)
    assert status == 0
    assert report == {
        **{"path": str(file), "format": "messages", "conversations": 2, "answers": 2, "images": 1},
        **{"splits": {"unnamed": 2}, "problems": []},
    }
    status, (done,), _ = ask("data", "convert", file, folder / "out.jsonl", "--to", "conversations")
    assert (status, done["conversations"]) == (0, 2)
    assert '"from": "human"' in (folder / "out.jsonl").read_text("utf-8")
    (folder / "材料 1.png").write_bytes(b"no image")
    status, (report,), said = ask("data", "check", file)
    assert (status, len(report["problems"])) == (1, 1)
    assert "delete it and its conversations" in report["problems"][0]["fix"]
    assert "1 problem" in said
    file.write_text(json.dumps([RECORD, {}]), "utf-8")
    status, _, said = ask("data", "convert", file, folder / "none.json", "--to", "alpaca")
    assert status == 1
    assert "1 problem, which `showtell data check` lists; first:" in said
    assert not (folder / "none.json").exists()


ODD = [
    None,
    True,
    0,
    10**30,
    1.5,
    "",
    "<image>",
    "assistant",
    [],
    {},
    [[]],
    [{}],
    {"type": "text"},
    [None, "a"],
]


@st.composite
def spoiled(draw: st.DrawFn) -> Any:
    """A record with one of its values replaced, removed or nested."""
    record = json.loads(
        json.dumps(draw(st.sampled_from([RECORD, PLAIN, {"instruction": "a", "output": "b"}])))
    )
    at: Any = record
    for _ in range(draw(st.integers(0, 2))):
        inner = [
            value for value in (at.values() if isinstance(at, dict) else at) if isinstance(value, dict | list)
        ]
        at = draw(st.sampled_from(inner)) if inner else at
    if keys := list(at) if isinstance(at, dict) else list(range(len(at))):
        key = draw(st.sampled_from(keys))
        if draw(st.booleans()):
            at[key] = draw(st.sampled_from(ODD))
        else:
            del at[key]
    return record


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(records=st.lists(spoiled(), max_size=3), name=st.sampled_from(["data.json", "data.jsonl"]))
def test_whatever_a_record_holds_is_read_or_named(folder: Path, records: list[Any], name: str) -> None:
    whole = [PLAIN, *records]
    lines = name.endswith("l")
    text = "\n".join(map(json.dumps, whole)) if lines else json.dumps(whole)
    (folder / name).write_text(text)
    source = read_conversations(folder / name)
    assert len(source.conversations) + len(source.problems) == len(whole)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '[{"messages": ' + "9" * 5000, '{"a": 1e999, "messages": "\x00']
)
def test_hostile_files_are_named(folder: Path, text: str) -> None:
    (folder / "data.json").write_text(text)
    with pytest.raises(UserError, match="holds no usable conversation"):
        read_conversations(folder / "data.json", "messages")


def test_an_odd_dataset_info_is_named_or_passed_over(folder: Path) -> None:
    (folder / "data.json").write_text(json.dumps([PLAIN]))
    file = folder / "dataset_info.json"
    entry = {"file_name": "data.json", "formatting": "openai", "columns": ["a"], "tags": {"role_tag": 3}}
    for said in (
        "[]",
        "{",
        json.dumps({"a": 3}),
        json.dumps({"a": entry}),
        json.dumps({"a": {"file_name": 3}}),
    ):
        file.write_text(said)
        assert len(read_conversations(folder / "data.json").conversations) == 1
