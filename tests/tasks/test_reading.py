"""Reading: the texts of tokens, and character error rates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.tasks.metrics import character_error_rate, edit_distance
from showtell.tasks.reading import token_texts


@given(st.text("abc ", max_size=7), st.text("abc ", max_size=7))
def test_the_edit_distance_against_the_recursion(one, other) -> None:
    def distance(a: str, b: str) -> int:
        if not a or not b:
            return len(a) + len(b)
        if a[0] == b[0]:
            return distance(a[1:], b[1:])
        return 1 + min(distance(a[1:], b), distance(a, b[1:]), distance(a[1:], b[1:]))

    assert edit_distance(one, other) == distance(one, other)


def test_the_error_rate_is_over_all_characters() -> None:
    assert character_error_rate(["abcd", ""], ["abcd", "ab"]) == pytest.approx(2 / 6)
    assert character_error_rate(["abcdefgh"], ["a"]) == 7


@pytest.mark.parametrize("text", ["the low tower", "naïve café 猫 😀 end", "a\N{NO-BREAK SPACE}b"])
def test_the_texts_of_tokens_are_the_whole_text(text) -> None:
    tokenizer = SubwordTokenizer.train(["the low lower lowest tower"] * 3, "bpe", 300)
    ids = tokenizer.pieces(text).ids
    texts = token_texts(tokenizer, ids)
    assert "".join(texts) == tokenizer.decode(ids)
    assert len(texts) == len(ids)
