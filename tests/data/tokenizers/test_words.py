"""Word tokenizers: any text of a person or a file becomes ids, never an error."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from showtell.data.tokenizers.load import load_tokenizer
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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("一只黑猫在草地上玩耍。", list("一只黑猫在草地上玩耍")),
        ("猫がベッドで寝ている", list("猫がベッドで寝ている")),
        ("ラーメン、ｶﾞﾗｽ", list("ラーメンガラス")),
        ("穿T恤的2只dogs", ["穿", "t", "恤", "的", "2", "只", "dogs"]),
        ("แมวดำอยู่", ["แ", "ม", "ว", "ดํ", "า", "อ", "ยู่"]),
        ("검은 고양이", ["검은", "고양이"]),
        ("काली बिल्ली", ["काली", "बिल्ली"]),
        ("the dog's ❤\ufe0f 1\ufe0f\u20e3", ["the", "dogs", "1"]),
    ],
)
def test_a_script_without_spaces_is_read_by_character(text, words) -> None:
    assert TOKENIZER.split(text) == words


def test_a_caption_of_such_a_script_is_written_without_spaces() -> None:
    tokenizer = WordTokenizer.train(["一只黑猫在 T恤 上 the dogs", "แมวดำ", "검은 고양이"])
    for text in ("一只黑猫", "แมว", "검은 고양이", "the dogs", "黑猫 t 恤"):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.unknown not in tokenizer.encode("黑一只")


def test_a_saved_tokenizer_keeps_its_rules() -> None:
    """One that was saved before scripts were told apart: a clause is a word."""
    rules = json.loads(TOKENIZER.to_json())
    rules["pre_tokenizer"] = {
        "type": "Split",
        "pattern": {"Regex": r"[^\p{L}\p{N}]+"},
        "behavior": "Removed",
        "invert": False,
    }
    loaded = load_tokenizer(json.dumps(rules))
    assert isinstance(loaded, WordTokenizer)
    assert loaded.split("一只黑猫, a dog") == ["一只黑猫", "a", "dog"]
    assert loaded.words == TOKENIZER.words


@given(st.text(st.characters(codec="latin-1")))
def test_text_with_spaces_is_split_as_before(text) -> None:
    normal = TOKENIZER._tokenizer.normalizer.normalize_str(text)
    before = pre_tokenizers.Split(Regex(r"[^\p{L}\p{N}]+"), "removed").pre_tokenize_str(normal)
    assert TOKENIZER.split(text) == [word for word, _ in before]
