"""The share of unknown tokens: how much of the validation texts a vocabulary does not cover."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from showtell.data.captions.entry import Entry
from showtell.data.tokenizers.pieces import Pieces
from showtell.datasets.captions import divide
from showtell.datasets.vocabulary import WordVocabulary

logger = logging.getLogger(__name__)

TOO_MANY = 0.1
"""The share from which the vocabulary hardly fits the texts."""
SHOWN = 5


class Splits(Protocol):
    """A tokenizer that says which tokens a text has."""

    @property
    def unknown(self) -> int | None:
        """The id of what the vocabulary does not hold; None where it holds everything."""
        ...

    def pieces(self, text: str) -> Pieces:
        """The tokens of a text."""
        ...


@dataclass(frozen=True)
class UnknownTokens:
    """What a vocabulary does not cover of some texts."""

    tokens: int
    unknown: int
    most: tuple[str, ...]
    """The most frequent unknown words."""

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.unknown / max(self.tokens, 1)

    def __str__(self) -> str:
        text = f"unknown tokens on validation: {self.unknown} of {self.tokens} ({self.share:.1%})"
        return f"{text}, most often {', '.join(map(repr, self.most))}" if self.most else text

    @property
    def advice(self) -> str:
        """What to do about too many; empty for few."""
        if self.share <= TOO_MANY:
            return ""
        return (
            "the vocabulary of the training texts hardly covers them; train on more texts of the same kind "
            "and language, or on a recipe with a vocabulary of pieces of words, such as clip_b32"
        )


def unknown_tokens(tokenizer: Splits, texts: Iterable[str]) -> UnknownTokens:
    """The tokens of texts that a tokenizer does not know."""
    total, unknown = 0, Counter[str]()
    for text in texts:
        found = tokenizer.pieces(text)
        total += len(found.ids)
        for token, (begin, end) in zip(found.ids, found.offsets, strict=True):
            if token == tokenizer.unknown:
                unknown[text[begin:end].lower()] += 1
    most = tuple(word for word, _ in unknown.most_common(SHOWN))
    return UnknownTokens(total, unknown.total(), most)


def log_unknown(tokenizer: Splits, texts: Iterable[str]) -> None:
    """How many tokens of the validation texts are unknown: a warning for more than one in ten."""
    if tokenizer.unknown is None:
        return
    found = unknown_tokens(tokenizer, texts)
    if found.advice:
        logger.warning("%s: %s", found, found.advice)
    else:
        logger.info("%s", found)


def unknown_words(entries: Sequence[Entry]) -> UnknownTokens | None:
    """The words of the validation captions that the training captions do not hold.

    None where one of the splits is empty.
    """
    splits = divide(entries)
    training, validation = splits.get("train", []), splits.get("val", [])
    if not training or not validation:
        return None
    tokenizer = WordVocabulary().learn(text for entry in training for text in entry.captions)
    return unknown_tokens(tokenizer, (text for entry in validation for text in entry.captions))
