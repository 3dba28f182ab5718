"""Exact match and F1 of answers, against SQuAD's evaluation script transcribed."""

import re
import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from showtell.tasks.answer_figures import answer_figures, answer_units

WORDS = st.lists(st.sampled_from(["a", "An", "the", "dog", "DOG.", "U.S.", "black", "don't", "-", "1,000"]))


def normalised(text: str) -> str:
    kept = "".join(letter for letter in text.lower() if letter not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", kept).split())


def f1(said: str, truth: str) -> float:
    found, known = normalised(said).split(), normalised(truth).split()
    if len(found) == 0 or len(known) == 0:
        return float(found == known)
    same = sum((Counter(found) & Counter(known)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(found), same / len(known)
    return 2 * precision * recall / (precision + recall)


@given(WORDS, st.lists(WORDS, min_size=1, max_size=3))
def test_the_figures_are_squads(said, accepted) -> None:
    said, accepted = " ".join(said), [" ".join(one) for one in accepted]
    found = answer_figures([accepted], [said])
    assert found["exact"] == max(normalised(said) == normalised(one) for one in accepted)
    assert found["f1"] == pytest.approx(max(f1(said, one) for one in accepted))


def test_chinese_is_compared_by_character() -> None:
    found = answer_figures([["308,000"], ["丹佛野马队。"]], ["308000", "野马"])
    assert found["exact"] == 0.5
    assert found["f1"] == pytest.approx((1 + 2 * 2 / 7) / 2)
    assert answer_units("（约）2015年") == ["约", "2015", "年"]


def test_no_answer_is_right_where_there_is_none() -> None:
    assert answer_figures([[], []], ["", "x"])["exact"] == 0.5
