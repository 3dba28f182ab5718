"""Messages are answered by a model with a chat template, which travels with it in and out of a folder."""

import json

import pytest
import torch

from showtell.cli.main import run
from showtell.errors import UsageError, UserError
from showtell.hub.huggingface.chat import read_chat_template
from showtell.pipelines.export_model import export_model
from showtell.pipelines.generate import generate
from showtell.pipelines.import_model import import_model
from showtell.pipelines.model import load_model
from support.chat import TEMPLATE, llama_folder

ASKED = [{"role": "user", "content": "The cat sat on the mat."}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    named = [{"name": "tools", "template": "{{ 1 }}"}, {"name": "default", "template": TEMPLATE}]
    return llama_folder(tmp_path_factory.mktemp("chat") / "theirs", "chatml", named)


@pytest.fixture(scope="module")
def checkpoint(folder):
    return import_model(str(folder), folder.parent / "ours")["model"]


def test_messages_are_answered_as_their_text_would_be_continued(checkpoint):
    model = load_model(checkpoint, "cpu")
    ids = model.tokenizer.encode_chat(ASKED)
    names = [model.tokenizer.tokens[i] for i in ids]
    assert (names[0], names.count("<|im_start|>"), names.count("<|im_end|>")) == ("<|im_start|>", 2, 1)
    found = generate(ASKED, model, 8)
    assert (found.text, found.cut) == (ASKED[0]["content"], 0)
    expected = list(ids)
    with torch.no_grad():
        for _ in range(found.tokens):
            row = torch.tensor([expected])
            tokens, _ = model.system.extend(model.system.empty_cache(1), row, row >= 0)
            logits = model.system.next_token_logits(tokens[0, -1])
            banned = [i for i in model.tokenizer.special if i != model.tokenizer.end]
            logits[banned] = -torch.inf
            expected.append(int(logits.argmax()))
    assert found.completion == model.tokenizer.decode(expected[len(ids) :])
    assert generate(ASKED, model, 8, sample="nucleus", seed=1).tokens <= 8


def test_the_template_comes_back_from_an_export(folder, checkpoint, tmp_path):
    export_model(checkpoint, tmp_path / "out")
    assert read_chat_template(tmp_path / "out") == read_chat_template(folder) == TEMPLATE
    again = import_model(str(tmp_path / "out"), tmp_path / "again")["model"]
    assert load_model(again, "cpu").hash == load_model(checkpoint, "cpu").hash
    transformers = pytest.importorskip("transformers")
    reference = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    ids = reference.apply_chat_template(ASKED, add_generation_prompt=True)["input_ids"]
    assert load_model(again, "cpu").tokenizer.encode_chat(ASKED) == ids


def test_a_conversation_is_never_cut(checkpoint):
    model = load_model(checkpoint, "cpu")
    with pytest.raises(UserError, match=r"'The cat sat.*' has \d+ tokens, and 112 are read before 8 more"):
        generate([{"role": "user", "content": "The cat sat on the mat. " * 40}], model, 8)
    with pytest.raises(UserError, match="a conversation needs a message"):
        generate([], model, 8)


def test_a_model_without_a_template_does_not_answer(tmp_path, capsys):
    plain = import_model(str(llama_folder(tmp_path / "theirs", "llama", None)), tmp_path / "ours")["model"]
    with pytest.raises(UsageError, match="has no chat template: it continues texts alone"):
        generate(ASKED, load_model(plain, "cpu"), 8)
    assert run(["generate", "The cat", "--chat", "-m", plain]) == 2
    assert "has no chat template" in capsys.readouterr().err


def test_chat_on_the_command_line(checkpoint, capsys):
    asked = ["generate", ASKED[0]["content"], "--chat", "-m", checkpoint, "--max-tokens", "4"]
    assert run(asked) == run([*asked, "--json"]) == 0
    printed = capsys.readouterr()
    *said, line = printed.out.splitlines()
    answer = json.loads(line)
    assert answer["completion"].strip() == "\n".join(said).strip()
    assert answer["finish"] == "length"
    assert printed.err.count("the answer was cut after 4 tokens") == 2


def test_templates_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": 3}')
    with pytest.raises(UserError, match="chat_template is no text, but 3"):
        read_chat_template(tmp_path)
    (tmp_path / "chat_template.jinja").write_bytes(b"\xff")
    with pytest.raises(UserError, match=r"cannot read .*chat_template\.jinja"):
        read_chat_template(tmp_path)
    (tmp_path / "chat_template.jinja").write_text("{{ 1 }}")
    assert read_chat_template(tmp_path) == "{{ 1 }}"


def test_a_text_begins_with_the_special_token_that_its_tokenizer_puts_there(tmp_path):
    folder = llama_folder(tmp_path / "theirs", "llama", None)
    said = json.loads((folder / "tokenizer.json").read_text())
    added = {token["content"]: token["id"] for token in said["added_tokens"]}
    start = {"id": "<s>", "ids": [added["<s>"]], "tokens": ["<s>"]}
    said["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"<s>": start},
    }
    (folder / "tokenizer.json").write_text(json.dumps(said))
    model = load_model(import_model(str(folder), tmp_path / "ours")["model"], "cpu")
    assert model.tokenizer.opening == [added["<s>"]]
    long = "The cat sat on the mat. " * 40
    ids = [*model.tokenizer.opening, *model.tokenizer.pieces(long).ids[-111:]]
    row, found = torch.tensor([ids]), generate(long, model, 8)
    tokens, _ = model.system.extend(model.system.empty_cache(1), row, row >= 0)
    first = model.system.next_token_logits(tokens[0, -1])
    first[[i for i in model.tokenizer.special if i != model.tokenizer.end]] = -torch.inf
    assert found.completion.startswith(model.tokenizer.decode([int(first.argmax())]))
    assert found.cut == len(model.tokenizer.pieces(long).ids) - 111


def test_an_answer_under_a_schema_is_valid_whatever_the_model(checkpoint, tmp_path, capsys):
    pytest.importorskip("llguidance")
    model = load_model(checkpoint, "cpu")
    schema = {
        "type": "object",
        "properties": {"文字材料类别": {"enum": ["收据", "身份证"]}, "n": {"type": "integer"}},
        "required": ["文字材料类别"],
        "additionalProperties": False,
    }
    found = [
        generate(ASKED, model, 60, sample="nucleus", top_p=1.0, seed=seed, schema=schema) for seed in range(4)
    ]
    read = [json.loads(one.completion) for one in found]
    assert all(
        one["文字材料类别"] in ("收据", "身份证") and set(one) <= {"文字材料类别", "n"} for one in read
    )
    assert len({one.completion for one in found}) > 1
    assert generate(ASKED, model, 60, sample="nucleus", top_p=1.0, seed=3, schema=schema) == found[3]
    endless = generate(ASKED, model, 10, schema={"type": "string", "pattern": "^(cat)*$"})
    assert endless.tokens <= 10
    assert json.loads(endless.completion).replace("cat", "") == ""
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(schema))
    asked = ["generate", "The cat", "--chat", "--model", str(checkpoint), "--schema", str(file)]
    assert run([*asked, "--max-tokens", "60"]) == 0
    assert json.loads(capsys.readouterr().out)["文字材料类别"]
    assert run([*asked, "--max-tokens", "9"]) == 2
    assert "tokens at least, and 9 may be written" in capsys.readouterr().err
