"""Texts, or pairs of texts, as a system reads them: as tokens, or drawn as an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.data.images.page import Page
from showtell.data.images.render.draw import Drawing, Span, draw
from showtell.data.images.render.fonts import Font, undrawable
from showtell.data.images.render.style import SMALL
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.rendered_texts import on_page, three_channels
from showtell.errors import UserError

Parts = tuple[str, ...]
"""A text, or a premise and its hypothesis."""


@dataclass(frozen=True)
class Tokens:
    """Texts as tokens: `[CLS] A [SEP]`, or `[CLS] A [SEP] B [SEP]` with two segments."""

    target: ClassVar = "classes"
    """The name of the batch's targets that are the classes."""

    tokenizer: SubwordTokenizer
    limit: int
    """Tokens of an example, special ones included."""
    num_segments: int = 2

    @property
    def longest(self) -> int:
        """The most tokens of an example that are read."""
        return self.limit

    @staticmethod
    def pages(item: list[list[int]]) -> list[list[list[int]]]:
        """The parts of an example that are read apart: it is one."""
        return [item]

    def prepare(self, parts: Parts) -> tuple[list[list[int]], int]:
        """The tokens of each part without special ones, cut to the limit, and how many that lost."""
        rows = [self.tokenizer.pieces(self._cased(part)).ids for part in parts]
        kept = kept_lengths([*map(len, rows)], self.limit - 1 - len(rows))
        return [row[:most] for row, most in zip(rows, kept, strict=True)], sum(map(len, rows)) - sum(kept)

    def batch(self, items: Sequence[list[list[int]]], seed: tuple[int, ...]) -> Batch:
        """Some prepared examples; nothing of them is random."""
        start, end = self.tokenizer.start, self.tokenizer.end
        ids, keep = pad(
            [[start, *(i for row in rows for i in [*row, end])] for rows in items], self.tokenizer.pad
        )
        segments = None
        if self.num_segments > 1 and any(len(rows) > 1 for rows in items):
            segments, _ = pad(
                [[0, *(number for number, row in enumerate(rows) for _ in [*row, end])] for rows in items]
            )
        return Batch(texts=TextBatch(ids, keep, segments=segments))

    def _cased(self, text: str) -> str:
        return text.lower() if self.tokenizer.lowercase else text


@dataclass(frozen=True)
class Drawn:
    """Texts as pages: a premise and its hypothesis are two blocks of one, a long text fills several."""

    target: ClassVar = "labels"

    tokenizer: SubwordTokenizer
    limit: int
    """Tokens of a page, without special ones."""
    page: Page
    fonts: tuple[Font, ...]
    most: int = 1
    """The most pages of a text."""

    @property
    def longest(self) -> int:
        """The most tokens of a text that are drawn."""
        return self.limit * self.most

    @staticmethod
    def pages(item: list[str]) -> list[list[str]]:
        """The parts of an example that are read apart."""
        return [[page] for page in item]

    def prepare(self, parts: Parts) -> tuple[list[str], int]:
        """The text of each page, and how many tokens did not find a place.

        Raises `UserError` for a text that no font draws.
        """
        if len(parts) == 1:
            return self._prepare_text(" ".join(parts[0].split()))
        texts = [" ".join(part.split()) for part in parts]
        pieces = [self.tokenizer.pieces(text) for text in texts]
        kept = kept_lengths([len(one.ids) for one in pieces], self.limit)
        blocks = [
            text if most == len(one.ids) else text[: one.offsets[most - 1][1]] if most else ""
            for text, one, most in zip(texts, pieces, kept, strict=True)
        ]
        whole = "\n\n".join(blocks)
        if not whole.strip() or not any(font.covers(whole) for font in self.fonts):
            raise UserError(self.undrawable(whole))
        return [whole], sum(len(one.ids) for one in pieces) - sum(kept)

    def _prepare_text(self, text: str) -> tuple[list[str], int]:
        if not text or not any(font.covers(text) for font in self.fonts):
            raise UserError(self.undrawable(text))
        pieces = self.tokenizer.pieces(text)
        found, first = list[str](), 0
        while first < len(pieces.ids) and len(found) < self.most:
            last = page_end(pieces.groups, first, self.limit)
            found.append(text[pieces.offsets[first][0] : pieces.offsets[last - 1][1]].strip())
            first = last
        return [page for page in found if page], len(pieces.ids) - first

    def batch(self, items: Sequence[list[str]], seed: tuple[int, ...]) -> Batch:
        """A page of each of some prepared examples; `seed` decides which, and fonts and styles."""
        chosen = np.random.default_rng((*seed, len(items))).random(len(items))
        pages = [item[int(place * len(item))] for item, place in zip(items, chosen, strict=True)]
        return self.images(self.drawings(pages, [()] * len(pages), seed))

    def drawings(
        self, texts: Sequence[str], spans: Sequence[Sequence[Span]], seed: tuple[int, ...]
    ) -> list[Drawing]:
        """Texts on pages, with the boxes of their tokens' `spans`."""
        generator = np.random.default_rng(seed)
        size = replace(SMALL, tokens=self.limit)
        return [
            on_page(draw(text, size.sample(text, self.fonts, generator, 0.0), None, tokens), self.page)
            for text, tokens in zip(texts, spans, strict=True)
        ]

    def undrawable(self, text: str) -> str:
        """Why a text is not drawn."""
        return undrawable(text, self.fonts) if text.strip() else "the text is empty"

    @staticmethod
    def images(drawings: Sequence[Drawing]) -> Batch:
        """A batch of drawings."""
        return Batch(ImageBatch(pixels=three_channels([drawing.pixels for drawing in drawings])))


TextInput = Tokens | Drawn


def page_end(groups: Sequence[int], first: int, limit: int) -> int:
    """Where a page ends that begins with token `first`: after at most `limit` tokens, and after a word.

    A word of more than half a page is divided.

    >>> page_end([0, 0, 1, 2, 2, 3], 0, 4), page_end([0, 0, 0, 0], 0, 3)
    (3, 3)
    """
    last = full = min(first + limit, len(groups))
    while last < len(groups) and last > first + limit // 2 and groups[last] == groups[last - 1]:
        last -= 1
    return full if last <= first + limit // 2 < full else last


def kept_lengths(lengths: Sequence[int], room: int) -> list[int]:
    """The lengths of texts that fit into `room` together; the longest is cut first.

    >>> kept_lengths([9, 4], 10), kept_lengths([9, 4], 6), kept_lengths([3], 10)
    ([6, 4], [3, 3], [3])
    """
    kept = [*lengths]
    while (excess := sum(kept) - max(room, 0)) > 0:
        longest = max(range(len(kept)), key=kept.__getitem__)
        second = max((n for place, n in enumerate(kept) if place != longest), default=0)
        kept[longest] -= min(excess, max(kept[longest] - second, 1))
    return kept
