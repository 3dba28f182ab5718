"""The share of unknown tokens on validation is said, and warned of above one in ten."""

import json
import logging
from pathlib import Path

import pytest

from showtell.cli.main import run
from showtell.data.captions.entry import Entry
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.data.tokenizers.words import WordTokenizer
from showtell.datasets.unknown import log_unknown, unknown_tokens, unknown_words
from support.library import draw


def test_unknown_tokens_are_counted_with_their_words() -> None:
    tokenizer = WordTokenizer.train(["a dog runs"])
    found = unknown_tokens(tokenizer, ["A CAT runs", "a cat, a bird."])
    assert (found.tokens, found.unknown, found.most) == (7, 3, ("cat", "bird"))
    assert found.share == pytest.approx(3 / 7)
    assert "3 of 7 (42.9%), most often 'cat', 'bird'" in str(found)


@pytest.mark.parametrize(("unknown", "level"), [(0, logging.INFO), (1, logging.INFO), (2, logging.WARNING)])
def test_more_than_one_in_ten_is_a_warning(caplog, unknown, level) -> None:
    caplog.set_level("INFO")
    log_unknown(WordTokenizer.train(["dog"]), ["dog"] * (10 - unknown) + ["cat"] * unknown)
    (record,) = caplog.records
    assert record.levelno == level
    assert f"{unknown} of 10" in record.getMessage()


@pytest.mark.parametrize("family", ["gpt2", "clip"])
def test_bytes_know_everything(caplog, family) -> None:
    log_unknown(SubwordTokenizer.train(["a dog runs"] * 3, "bpe", 600, family), ["一只猫"])
    assert not caplog.records


def test_words_of_the_training_captions_are_known() -> None:
    entries = [Entry(Path(f"{n}.jpg"), ("一只黑猫",), "train") for n in range(3)]
    found = unknown_words([*entries, Entry(Path("v.jpg"), ("一只白猫",), "val")])
    assert found is not None
    assert (found.tokens, found.unknown, found.most) == (4, 1, ("白",))
    assert unknown_words(entries[:1]) is None


def test_a_check_says_the_share(tmp_path, capsys) -> None:
    for number, split in enumerate(["train"] * 3 + ["val"]):
        image = draw(tmp_path / split / f"{number}.png", (40 * number, 0, 0))
        image.with_suffix(".txt").write_text("eine Katze" if split == "val" else "a dog runs")
    assert run(["data", "check", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "unknown tokens on validation: 2 of 2 (100.0%)" in said.out
    assert "hardly covers them" in said.err
    assert run(["data", "check", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unknown"]["share"] == 1
