"""Captions read word by word in another language, by a small lexicon of what images show.

An encoder of many languages, frozen, gives texts of one language something in common that has no place in
what they say. A projection that is trained on English alone learns to rely on it; captions whose words are
replaced, in English order, show it what the languages share.

Source: Qin et al. 2020, "CoSDA-ML: Multi-Lingual Code-Switching Data Augmentation for Zero-Shot Cross-Lingual
NLP", section 3. The words were translated for showtell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

WORD = re.compile(r"[^\W\d_]+")
UNSPACED = re.compile(r"(?<=[\u4e00-\u9fff]) (?=[\u4e00-\u9fff])")
"""Between two Chinese words, which stand side by side."""


def languages() -> tuple[str, ...]:
    """The languages of the lexicon, as two letters each."""
    return tuple(next(iter(lexicon().values())))


def in_language(text: str, language: str) -> str:
    """An English text, word by word in another language; words that the lexicon does not know stay.

    Raises `KeyError` for a language that it does not have.

    >>> in_language("Two black dogs are running on the sand .", "zh")
    '两个黑色狗正跑在沙子'
    >>> in_language("A unicyclist jumped", "fr")
    'un unicyclist saute'
    """
    words = [_translated(word, language) for word in WORD.findall(text.lower())]
    return UNSPACED.sub("", " ".join(word for word in words if word))


def _translated(word: str, language: str) -> str:
    for form in _forms(word):
        if form in lexicon():
            return lexicon()[form][language]
    return word


def _forms(word: str) -> Iterator[str]:
    """A word as it is, then what may be its singular or its infinitive."""
    yield word
    for ending, begins in (("ies", "y"), ("es", ""), ("s", "")):
        if word.endswith(ending):
            yield word.removesuffix(ending) + begins
    for ending in ("ing", "ed"):
        if word.endswith(ending):
            stem = word.removesuffix(ending)
            yield from (stem, f"{stem}e")
            if stem[-1:] == stem[-2:-1]:
                yield stem[:-1]


@cache
def lexicon() -> dict[str, dict[str, str]]:
    """What each English word is in each language; empty where that leaves it out."""
    lines = files(__package__).joinpath("lexicon.tsv").read_text("utf-8").splitlines()
    _, *codes = lines[0].split("\t")
    rows = (line.split("\t") for line in lines[1:])
    return {word: dict(zip(codes, others, strict=True)) for word, *others in rows}
