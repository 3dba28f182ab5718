"""Word tokenizers: any text of a person or a file becomes ids, never an error."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from showtell.data.tokenizers.words import SPECIAL, WordTokenizer

TOKENIZER = WordTokenizer.train(["a dog runs", "the café is red"])
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))


@given(ANY_TEXT)
@example("caf\udce9 dog")
@example("a <end> dog <pad>")
@example("\ud83d\ude00")
def test_any_text_is_split_and_encoded_consistently(text: str) -> None:
    words = TOKENIZER.split(text)
    ids = TOKENIZER.encode(text)
    assert ids[0] == TOKENIZER.start
    assert ids[-1] == TOKENIZER.end
    assert len(ids) == len(words) + 2
    assert all(i == TOKENIZER.unknown or i >= len(SPECIAL) for i in ids[1:-1])
    assert all(word.encode() for word in words)
    TOKENIZER.id_of(text)


@pytest.mark.parametrize("broken", ["\udce9", "\ud83d\ude00"])
def test_a_broken_character_separates_words(broken: str) -> None:
    assert TOKENIZER.split(f"dog{broken}runs") == ["dog", "runs"]
    assert WordTokenizer.train([f"cat {broken} sat"]).words[len(SPECIAL) :] == ["cat", "sat"]
