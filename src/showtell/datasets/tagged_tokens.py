"""Tagged sentences as a system reads them: the tags of words moved to their first tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
import torch

from showtell.data.batch import Batch, Targets, TextBatch, pad
from showtell.data.images.render.draw import Span
from showtell.data.qa.examples import Tagged
from showtell.data.tokenizers.pieces import Pieces
from showtell.datasets.text_inputs import Drawn, TextInput
from showtell.errors import UserError


@dataclass(frozen=True)
class TaggedRow:
    """A sentence, tokenized."""

    example: Tagged
    """Without tags where it is to be tagged."""
    text: str
    """Its words, a space between two."""
    ids: list[int]
    """Without special tokens."""
    offsets: list[Span]
    first: list[int]
    """The place in `ids` of the first token of each word; -1 for a word that has none, or is cut."""


class TaggedRows:
    """Tagged sentences; a batch of them has the tags at the first token of each word, and -1 elsewhere."""

    def __init__(self, given: TextInput, names: Sequence[str], limit: int) -> None:
        """`limit` is the most tokens of a sentence, without special ones."""
        self.given, self.limit = given, limit
        self._number = {name: number for number, name in enumerate(names)}

    def parts(self, example: Tagged) -> Iterator[Tagged]:
        """A sentence in parts of whole words within the limit; a word that exceeds it is a part."""
        words, tags = example.tokens, example.tags
        while words:
            count = self._fitting(words)
            yield Tagged(words[:count], tags[:count])
            words, tags = words[count:], tags[count:]

    def _fitting(self, words: tuple[str, ...]) -> int:
        """How many of the first words are within the limit, at least one."""
        text = " ".join(words)
        offsets = self._pieces(text).offsets
        if len(offsets) <= self.limit:
            return len(words)
        return max(word_of(starts_of(words), text, offsets[self.limit]), 1)

    def _pieces(self, text: str) -> Pieces:
        tokenizer = self.given.tokenizer
        return tokenizer.pieces(text.lower() if tokenizer.lowercase else text)

    def prepare(self, example: Tagged) -> tuple[TaggedRow, int]:
        """A sentence within the limit, and how many tokens that lost.

        Raises `UserError` for one that no font draws, where it is drawn.
        """
        words = example.tokens
        text = " ".join(words)
        pieces = self._pieces(text)
        first, starts = [-1] * len(words), starts_of(words)
        for place, (begin, end) in enumerate(pieces.offsets[: self.limit]):
            if text[begin:end].strip() and first[word := word_of(starts, text, (begin, end))] < 0:
                first[word] = place
        lost = max(len(pieces.ids) - self.limit, 0)
        ids, offsets = pieces.ids[: self.limit], pieces.offsets[: self.limit]
        shown = text[: offsets[-1][1]] if lost else text
        if isinstance(self.given, Drawn) and not any(font.covers(shown) for font in self.given.fonts):
            raise UserError(self.given.undrawable(shown))
        return TaggedRow(example, shown, ids, offsets, first), lost

    def batch(self, rows: Sequence[TaggedRow], seed: tuple[int, ...]) -> Batch:
        """Some sentences with start and end tokens; drawn too, for a system that reads images.

        Then `targets.boxes` are where the tokens stand, and none is masked.
        """
        tokenizer = self.given.tokenizer
        ids, keep = pad([[tokenizer.start, *row.ids, tokenizer.end] for row in rows], tokenizer.pad)
        tags = torch.full(ids.shape, -1)
        for number, row in enumerate(rows):
            for place, tag in zip(row.first, row.example.tags, strict=bool(row.example.tags)):
                if place >= 0:
                    tags[number, place + 1] = self._number[tag]
        if not isinstance(self.given, Drawn):
            return Batch(texts=TextBatch(ids, keep), targets=Targets(tags=tags))
        drawings = self.given.drawings([row.text for row in rows], [row.offsets for row in rows], seed)
        boxes = torch.full((*ids.shape, 4), torch.nan)
        for number, drawing in enumerate(drawings):
            boxes[number, 1 : 1 + len(drawing.boxes)] = torch.from_numpy(drawing.boxes)
        masked = torch.zeros(ids.shape, dtype=torch.bool)
        return replace(
            self.given.images(drawings),
            texts=TextBatch(ids, keep, owner=torch.arange(len(ids))),
            targets=Targets(tags=tags, boxes=boxes, masked=masked),
        )


def starts_of(words: Sequence[str]) -> list[int]:
    """Where each word begins, and the end, in their text with a space between two."""
    return [0, *accumulate(len(word) + 1 for word in words)]


def word_of(starts: Sequence[int], text: str, span: Span) -> int:
    """The number of the word that a token of a text begins in."""
    begin, end = span
    begin += len(text[begin:end]) - len(text[begin:end].lstrip())
    return int(np.searchsorted(starts, begin, "right")) - 1
