import pytest
from hypothesis import given
from hypothesis import strategies as st

from showtell.data.texts.chunks import chunks
from showtell.data.tokenizers.subword import SubwordTokenizer

WORDS = ["the", "black", "dog", "runs", "over", "a", "lazy", "fox", "and", "unhappily", "sat", "down"]
BERT = SubwordTokenizer.train([" ".join(WORDS)] * 2, "wordpiece", 60)
ROBERTA = SubwordTokenizer.train([" ".join(WORDS)] * 2, "bpe", 300)


@pytest.mark.parametrize("tokenizer", [BERT, ROBERTA], ids=["wordpiece", "bpe"])
@given(text=st.lists(st.sampled_from([*WORDS, "xyzzyplugh", "\n"]), min_size=1).map(" ".join))
def test_chunks_are_all_the_words_in_order_and_within_the_limit(tokenizer, text: str) -> None:
    found = list(chunks([text, text], tokenizer, 16))
    assert " ".join(found).split() == text.split() * 2
    assert all(len(tokenizer.pieces(chunk).ids) <= 16 for chunk in found)


def test_a_word_longer_than_the_limit_is_divided() -> None:
    found = list(chunks(["dog " + "x" * 50], BERT, 8))
    assert all(0 < len(BERT.pieces(chunk).ids) <= 8 for chunk in found)
    assert "".join(found).replace(" ", "") == "dog" + "x" * 50


def test_with_least_every_length_occurs() -> None:
    text = "a " * 3000
    lengths = [len(BERT.pieces(chunk).ids) for chunk in chunks([text], BERT, 12, 3)]
    assert {*lengths[:-1]} == set(range(3, 13))
    assert list(chunks([text], BERT, 12, 3)) == list(chunks([text], BERT, 12, 3))
