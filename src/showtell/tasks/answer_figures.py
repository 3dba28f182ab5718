"""Exact match and F1 of answers, as SQuAD measures them; Chinese and Japanese by character."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np

from showtell.data.images.render.layout import UNSPACED
from showtell.tasks.text_figures import with_error

UNIT = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")
"""A word, or a character of a script without spaces."""
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = re.compile(rf"[{re.escape(string.punctuation)}\u3000-\u303f\uff00-\uff0f\uff1a-\uff20]")
"""SQuAD's, and that of Chinese and Japanese."""


def answer_units(answer: str) -> list[str]:
    """The words of an answer without case, punctuation and articles.

    >>> answer_units("The U.S. Army!"), answer_units("《红楼梦》的 GDP")
    (['us', 'army'], ['红', '楼', '梦', '的', 'gdp'])

    Source: Rajpurkar et al. 2016, the evaluation script; Lewis et al. 2020, "MLQA", for Chinese.
    """
    return UNIT.findall(_ARTICLES.sub(" ", _PUNCTUATION.sub("", answer.lower())))


def overlap(said: Sequence[str], truth: Sequence[str]) -> float:
    """F1 of the words of two answers, counted as often as they occur; no answer equals none alone.

    >>> overlap(["a", "b", "b"], ["b", "c"]), overlap([], []), overlap(["a"], [])
    (0.4, 1.0, 0.0)
    """
    if not said or not truth:
        return float(said == truth)
    shared = (Counter(said) & Counter(truth)).total()
    return 2 * shared / (len(said) + len(truth))


def answer_figures(truth: Sequence[Sequence[str]], said: Sequence[str]) -> dict[str, float]:
    """`exact` and `f1`, the mean over questions of the best among the accepted answers of each.

    A question without an accepted answer accepts "" alone. Each has its standard error.

    >>> found = answer_figures([["a dog", "the black dog"], []], ["black dogs", "no"])
    >>> found["exact"], found["f1"]
    (0.0, 0.25)
    """
    rows = []
    for accepted, one in zip(truth, said, strict=True):
        found, known = answer_units(one), [answer_units(other) for other in accepted or [""]]
        rows.append((max(found == other for other in known), max(overlap(found, other) for other in known)))
    counts = np.array(rows, np.float64)
    return {
        **with_error("exact", counts[:, :1], lambda sums: sums[..., 0] / len(rows)),
        **with_error("f1", counts[:, 1:], lambda sums: sums[..., 0] / len(rows)),
    }
