"""`showtell tokenizer`: train a tokenizer on texts, and show the tokens of a text."""

from functools import partial
from pathlib import Path

import pytest

from showtell.cli.main import run
from showtell.data.tokenizers.load import load_tokenizer
from showtell.data.tokenizers.words import WordTokenizer
from support.checkpoints import tiny_checkpoint

TEXTS = "The dog sat on the low wall.\nThe lower dog ran, the lowest dog slept!\n" * 5


@pytest.fixture
def ask(ask):
    """Run a command of `tokenizer`."""
    return partial(ask, "tokenizer")


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text(TEXTS)
    (tmp_path / "texts" / "b.jsonl").write_text('{"text": "newest wider"}\n' * 4)
    return tmp_path / "texts"


@pytest.fixture
def tokenizer(texts: Path, tmp_path: Path) -> Path:
    file = tmp_path / "tokenizer.json"
    arguments = ["--kind", "wordpiece", "--vocab-size", "60", str(texts), "-o", str(file), "--json"]
    assert run(["tokenizer", "train", *arguments]) == 0
    return file


@pytest.mark.parametrize(
    ("kind", "size", "family", "expected"),
    [
        ("words", 12, None, "bert"),
        ("chars", 20, "gpt2", "gpt2"),
        ("wordpiece", 50, None, "bert"),
        ("bpe", 280, None, "roberta"),
        ("bpe", 280, "gpt2", "gpt2"),
        ("bpe", 540, "clip", "clip"),
    ],
)
def test_a_tokenizer_is_trained_and_can_be_loaded(ask, texts, tmp_path, kind, size, family, expected) -> None:
    output = tmp_path / "new" / "mine.json"
    named = ["--family", family] if family else []
    status, (made,), err = ask("train", "--kind", kind, "--vocab-size", size, *named, texts, "-o", output)
    assert status == 0
    assert made == {"tokenizer": str(output), "kind": kind, "family": expected, "tokens": size}
    assert f"{texts / 'a.txt'}: one document per line, 10 documents" in err
    assert 'b.jsonl: JSON Lines, a document in each "text", 4 documents' in err
    loaded = load_tokenizer(output.read_text())
    assert len(loaded) == size
    status, (encoded,), err = ask("encode", "-t", output, "the lowest dog")
    assert (status, err) == (0, "")
    assert encoded["ids"] == loaded.encode("the lowest dog")


def test_few_texts_yield_fewer_tokens(ask, texts, tmp_path) -> None:
    arguments = ["--kind", "wordpiece", "--vocab-size", 5000, texts, "-o", tmp_path / "t.json"]
    status, (made,), err = ask("train", *arguments)
    assert status == 0
    assert made["tokens"] < 200
    assert f"no more than {made['tokens']} tokens" in err


def test_a_vocabulary_without_all_characters_is_told(ask, tmp_path) -> None:
    (tmp_path / "a.txt").write_text("abc ab a a\n")
    given = ["train", "--kind", "wordpiece", tmp_path / "a.txt", "-o", tmp_path / "t.json", "--vocab-size"]
    status, _, err = ask(*given, 7)
    assert status == 0
    assert "25.0% of the words hold a character that is not among the 7 tokens" in err
    assert "hold a character" not in ask(*given, 8)[2]


def test_tokens_and_their_offsets(ask, tokenizer) -> None:
    text = "The wider, dog"
    _, (encoded,), _ = ask("encode", "--tokenizer", tokenizer, text)
    assert encoded["text"] == text
    assert encoded["tokens"][0] == "[CLS]"
    assert encoded["tokens"][-1] == "[SEP]"
    assert encoded["offsets"][0] is encoded["offsets"][-1] is None
    inner = list(zip(encoded["tokens"], encoded["offsets"], strict=True))[1:-1]
    assert all(token.removeprefix("##") == text[a:b].lower() for token, (a, b) in inner)
    assert "".join(text[a:b] for _, (a, b) in inner) == "Thewider,dog"
    assert encoded["cut"] == 0


def test_lines_of_standard_input_are_texts(ask, tokenizer) -> None:
    status, found, _ = ask("encode", "-t", tokenizer, "-", stdin="the dog\n\ncaf\0 dog\n")
    assert status == 0
    assert [len(encoded["ids"]) >= 2 for encoded in found] == [True] * 3
    assert found[1] | {"ids": 0} == {
        "text": "",
        "ids": 0,
        "tokens": ["[CLS]", "[SEP]"],
        "offsets": [None, None],
        "cut": 0,
    }


def test_long_texts_are_cut_and_counted_or_refused(ask, tokenizer) -> None:
    arguments = ["-t", tokenizer, "the dog", "the dog sat on the low wall", "--max-length", 5]
    status, found, err = ask("encode", *arguments)
    assert status == 0
    assert [(len(encoded["ids"]), encoded["cut"] > 0) for encoded in found] == [(4, False), (5, True)]
    assert "cut: 1 of the texts" in err
    status, found, err = ask("encode", *arguments, "--strict")
    assert status == 1
    assert [encoded["text"] for encoded in found] == ["the dog"]
    assert "more than 5" in err


def test_the_tokenizer_of_a_model(ask, tmp_path) -> None:
    run_folder = tmp_path / "run"
    tiny_checkpoint(run_folder / "model")
    status, (encoded,), _ = ask("encode", "-t", run_folder, "A dog, zebra")
    assert status == 0
    assert encoded["tokens"] == ["<start>", "a", "dog", "<unknown>", "<end>"]
    assert encoded["offsets"] == [None, [0, 1], [2, 5], [7, 12], None]
    file = tmp_path / "words.json"
    file.write_text(WordTokenizer.train(["a dog"]).to_json())
    assert ask("encode", "-t", file, "dog")[1][0]["tokens"][1] == "dog"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["encode", "-t", "none.json", "x"], 1, "none.json"),
        (["encode", "-t", "broken.json", "x"], 1, "broken.json is damaged"),
        (["encode", "-t", "empty", "x"], 1, "empty holds no tokenizer"),
        (["encode", "-t", "good.json"], 2, "give texts"),
        (["encode", "-t", "good.json", "x", "--strict"], 2, "--max-length"),
        (["encode", "-t", "good.json", "x", "--max-length", "1"], 2, "no room for the 2 special"),
        (["train", "--kind", "bpe", "--vocab-size", "300", "none.txt", "-o", "o.json"], 1, "none.txt"),
        (["train", "--kind", "bpe", "--vocab-size", "99", "a.txt", "-o", "o.json"], 2, "99 is too small"),
        (["train", "--kind", "words", "--vocab-size", "99", "blank.txt", "-o", "o.json"], 1, "no text"),
        (["train", "--kind", "bpe", "--vocab-size", "300", "blank.txt", "-o", "o.json"], 1, "no text"),
        (["train", "--kind", "words", "--vocab-size", "99", "bad.txt", "-o", "o.json"], 1, "bad.txt, line 2"),
        (["train", "--kind", "bpe", "--vocab-size", "300", "bad.txt", "-o", "o.json"], 1, "bad.txt, line 2"),
        (["train", "--kind", "words", "--vocab-size", "99", "a.txt", "-o", "empty"], 2, "empty is a folder"),
        (["train", "--kind", "syllables", "--vocab-size", "99", "a.txt", "-o", "o.json"], 2, "syllables"),
        (
            ["train", "--kind", "words", "--vocab-size", "99", "empty", "-o", "o.json"],
            1,
            "holds no text files",
        ),
    ],
)
def test_what_is_wrong_is_one_line(ask, tmp_path, monkeypatch, arguments, status, message) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text(TEXTS)
    Path("blank.txt").write_text("\n \n")
    Path("bad.txt").write_bytes(b"good\n\xff\xff\n")
    Path("broken.json").write_text("{")
    Path("good.json").write_text(WordTokenizer.train(["a dog"]).to_json())
    Path("empty").mkdir()
    found, lines, err = ask(*arguments)
    assert found == status
    assert lines == []
    assert message in err
    assert err.count("showtell: ") == 1
    assert "Traceback" not in err
    assert not Path("o.json").exists()
