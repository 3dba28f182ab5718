import gzip
import json
from pathlib import Path

import pytest

from showtell.data.qa.examples import Pair, Question, Tagged
from showtell.data.qa.read import found_format, known_formats, read_examples
from showtell.errors import UsageError, UserError

CONTEXT = "A black dog runs. A cat sleeps."


def squad(*questions: object, context: object = CONTEXT) -> str:
    return json.dumps({"data": [{"paragraphs": [{"context": context, "qas": list(questions)}]}]})


def asked(start: object = 2, text: object = "black dog", **more: object) -> dict:
    return {"id": "1", "question": "Who runs?", "answers": [{"answer_start": start, "text": text}], **more}


def test_formats_are_found_by_their_folder() -> None:
    assert {"conll", "entailment", "squad"} <= set(known_formats())


def test_pairs(tmp_path: Path) -> None:
    rows = [
        {"premise": "A dog runs. ", "hypothesis": "It moves.", "label": "entailment"},
        {"sentence1": "A dog", "sentence2": "A cat", "gold_label": "-"},
        {"premise": "A dog", "hypothesis": "A cat", "label": 2},
    ]
    with gzip.open(tmp_path / "train.jsonl.gz", "wt") as file:
        file.write("\n".join(map(json.dumps, rows)))
    source = read_examples(tmp_path)
    assert source.format == "entailment"
    assert source.splits == {
        "train": [Pair("A dog runs.", "It moves.", "entailment"), Pair("A dog", "A cat", "2")]
    }
    assert source.unlabelled == 1
    assert not source.problems


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"premise": "a", "hypothesis": "b"', "not valid JSON"),
        ('["a"]', "not a JSON object"),
        ('{"premise": "a", "label": "x"}', "has no hypothesis"),
        ('{"premise": " ", "hypothesis": "b", "label": "x"}', "has no premise"),
        ('{"premise": "a", "hypothesis": "b"}', "has no label"),
    ],
)
def test_a_bad_pair_is_a_problem_with_its_line(tmp_path: Path, line: str, says: str) -> None:
    good = '{"premise": "a", "hypothesis": "b", "label": "x"}'
    (tmp_path / "train.jsonl").write_text(f"{good}\n\n{line}\n{good}\n")
    source = read_examples(tmp_path / "train.jsonl")
    assert len(source.splits["train"]) == 2
    (problem,) = source.problems
    assert problem.line == 3
    assert says in problem.what
    assert problem.fix


def test_questions(tmp_path: Path) -> None:
    none = {"id": "2", "question": "Who barks?", "answers": [], "is_impossible": True}
    (tmp_path / "dev.json").write_text(squad(asked(), none))
    source = read_examples(tmp_path)
    first, second = source.splits["val"]
    assert first == Question("1", CONTEXT, "Who runs?", ((2, "black dog"),))
    assert second.answers == ()
    assert not source.problems


@pytest.mark.parametrize(
    ("question", "says", "fix"),
    [
        (asked(3), "'black dog' is not at character 3", "its answer_start is 2"),
        (asked(-29), "'black dog' is not at character -29", "its answer_start is 2"),
        (asked(2, "white dog"), "is not at character 2", "copy the answer"),
        (asked("2"), "has no answers", "answer_start"),
        (asked(answers=[]), "empty list of answers", "is_impossible"),
        (asked(question=""), "has no question", "write it"),
        (7, "has no question", "write it"),
    ],
)
def test_a_bad_question_is_a_problem_with_its_place(tmp_path: Path, question, says: str, fix: str) -> None:
    (tmp_path / "train.json").write_text(squad(question, asked()))
    source = read_examples(tmp_path)
    assert len(source.splits["train"]) == 1
    (problem,) = source.problems
    assert "data[0].paragraphs[0].qas[0]" in problem.what
    assert says in problem.what
    assert fix in problem.fix


def test_tags(tmp_path: Path) -> None:
    (tmp_path / "train.conll").write_text(
        "-DOCSTART- O\n\n# a comment here\nA\tDET\n#\tSYM\n\n\nNew York\tPROPN\n"
    )
    source = read_examples(tmp_path)
    assert source.splits["train"] == [Tagged(("A", "#"), ("DET", "SYM")), Tagged(("New York",), ("PROPN",))]
    (tmp_path / "train.conll").write_text("EU NNP I-ORG\nrejects VBZ O\n")
    assert read_examples(tmp_path).splits["train"] == [Tagged(("EU", "rejects"), ("I-ORG", "O"))]


def test_a_sentence_with_a_bad_line_is_skipped_whole(tmp_path: Path) -> None:
    (tmp_path / "train.conll").write_text("A\tDET\ndog\n\nA\tDET\n\nA\t\n")
    source = read_examples(tmp_path)
    assert source.splits["train"] == [Tagged(("A",), ("DET",))]
    assert [problem.line for problem in source.problems] == [2, 6]


def test_a_data_set_is_named_by_how_its_files_begin(tmp_path: Path) -> None:
    for name in ("pos_train", "pos_dev", "ner_train", "ner_dev"):
        (tmp_path / f"{name}.conll").write_text(f"{name}\tX\n")
    source = read_examples(tmp_path / "pos")
    assert {split: one[0].tokens[0] for split, one in source.splits.items()} == {
        "train": "pos_train",
        "val": "pos_dev",
    }
    with pytest.raises(UserError, match=r"(?s)both the split .* such as .*(ner|pos)"):
        read_examples(tmp_path)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read_examples(tmp_path / "none")
    (tmp_path / "notes.txt").write_text("a\tb")
    with pytest.raises(UserError, match=r"Looked for:(?s:.*)conll(?s:.*)entailment(?s:.*)squad"):
        read_examples(tmp_path)
    assert found_format(tmp_path) is None
    with pytest.raises(UsageError, match="no format 'x'"):
        read_examples(tmp_path, "x")
    (tmp_path / "train.conll").write_text("dog\n")
    with pytest.raises(UserError, match="no usable example"):
        read_examples(tmp_path)
    (tmp_path / "train.conll").write_bytes(b"A\tDET\n\n\xff\tX\n")
    (problem,) = read_examples(tmp_path).problems
    assert "line 3" in problem.what
    (tmp_path / "dev.json").write_text(squad(asked()))
    with pytest.raises(UserError, match="several formats"):
        read_examples(tmp_path)


def test_real_data_has_no_problems(shared_data: Path) -> None:
    for name, sizes in {
        "squad/xquad_zh": (799, 150),
        "tags/wnut17": (3394, 1009),
        "tags/ewt_pos": (12544, 2001),
        "nli/mnli": (10000, 9815),
    }.items():
        source = read_examples(shared_data / name)
        assert not source.problems
        assert (len(source.splits["train"]), len(source.splits["val"])) == sizes, name
