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
    """Texts as images of pages: a premise and its hypothesis are two blocks."""

    target: ClassVar = "labels"

    tokenizer: SubwordTokenizer
    limit: int
    """Tokens of an example, without special ones."""
    page: Page
    fonts: tuple[Font, ...]

    def prepare(self, parts: Parts) -> tuple[str, int]:
        """The text to draw, cut to the limit, and how many tokens that lost.

        Raises `UserError` for a text that no font draws.
        """
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
        return whole, sum(len(one.ids) for one in pieces) - sum(kept)

    def batch(self, items: Sequence[str], seed: tuple[int, ...]) -> Batch:
        """Some prepared examples; `seed` decides fonts and styles."""
        return self.images(self.drawings(items, [()] * len(items), seed))

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
