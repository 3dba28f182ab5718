"""A text in pieces, each with its word and its place."""

from __future__ import annotations

from typing import NamedTuple

from tokenizers import Encoding


class Pieces(NamedTuple):
    """A text in pieces, without special tokens around it."""

    ids: list[int]
    groups: list[int]
    """The number of the word that a piece belongs to, from 0, never falling."""
    offsets: list[tuple[int, int]]
    """First and past-the-last character of each piece in the text."""


def pieces_of(encoding: Encoding) -> Pieces:
    """What the library found, its words numbered without gaps where their letters were dropped."""
    groups, word, last = [], -1, object()
    for number in encoding.word_ids:
        word += number != last or number is None
        groups.append(word)
        last = number
    return Pieces(encoding.ids, groups, encoding.offsets)
