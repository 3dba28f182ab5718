"""The tokens of a text with their words and positions in it."""

from __future__ import annotations

from typing import NamedTuple

from tokenizers import Encoding


class Pieces(NamedTuple):
    """The tokens of a text, without special tokens."""

    ids: list[int]
    groups: list[int]
    """The index of the word that each token belongs to, from 0, ascending."""
    offsets: list[tuple[int, int]]
    """The first and the past-the-last character of each token in the text."""


def pieces_of(encoding: Encoding) -> Pieces:
    """An encoding with its words numbered without gaps, also where a word's letters were all dropped."""
    groups, word, last = [], -1, object()
    for number in encoding.word_ids:
        word += number != last or number is None
        groups.append(word)
        last = number
    return Pieces(encoding.ids, groups, encoding.offsets)
