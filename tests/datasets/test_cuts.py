"""Texts that are longer than what reads them."""

import logging

import pytest

from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.data.tokenizers.words import WordTokenizer
from showtell.datasets.cuts import Cuts, encode_within, log_cuts
from showtell.errors import UserError

TEXTS = ["a dog", "a dog runs on the grass", "a dog runs on the snow"]
WORDS = WordTokenizer.train(TEXTS)
PIECES = SubwordTokenizer.train(TEXTS * 2, "wordpiece", 60)


@pytest.mark.parametrize("tokenizer", [WORDS, PIECES])
@pytest.mark.parametrize("text", ["", *TEXTS])
def test_what_is_read_and_what_is_lost_add_up(tokenizer, text) -> None:
    whole = tokenizer.encode(text)
    for limit in range(2, 12):
        ids, lost = encode_within(tokenizer, text, limit)
        assert ids == tokenizer.encode(text, limit)
        assert len(ids) + lost == len(whole)
    assert encode_within(tokenizer, text, None) == (whole, 0)


def test_cuts_are_said_once_with_counts_per_split(caplog) -> None:
    cuts = {name: Cuts(3, "training keeps", "caption") for name in ("train", "val")}
    for text in TEXTS:
        cuts["train"].encode(WORDS, text)
    cuts["val"].encode(WORDS, "a dog")
    with caplog.at_level(logging.WARNING, "showtell"):
        log_cuts(cuts)
    assert [record.getMessage() for record in caplog.records] == [
        "2 captions cut to the 3 tokens that training keeps (2 of 3 of train, 0 of 1 of val); the first, "
        "'a dog runs on the grass', lost 3 tokens"
    ]
    caplog.clear()
    log_cuts({"val": cuts["val"]})
    assert not caplog.records


def test_strict_refuses_the_first(caplog) -> None:
    cuts = Cuts(3, "it reads", strict=True)
    cuts.encode(WORDS, "a dog")
    with pytest.raises(UserError, match=r"'a dog runs on the grass' is 3 tokens longer than the 3 tokens"):
        cuts.encode(WORDS, TEXTS[1])


def test_texts_that_a_cut_makes_equal_are_told() -> None:
    cuts = Cuts(4, "it reads", "query")

    def ask(text: str) -> None:
        ids, lost = encode_within(WORDS, text, 4)
        cuts.tell_apart(text, ids, lost)

    ask(TEXTS[1])
    ask(TEXTS[1])
    ask("A DOG")
    ask("a dog")  # the same question in other letters
    with pytest.raises(UserError, match=r"snow' cannot be told from .*grass'.*after the 4 tokens"):
        ask(TEXTS[2])
