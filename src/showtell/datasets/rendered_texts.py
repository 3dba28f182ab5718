"""Texts drawn as images when a batch needs them, with masked tokens to be read and predicted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from showtell.data.batch import Batch, ImageBatch, Targets, TextBatch, pad
from showtell.data.images.render.draw import Drawing, draw
from showtell.data.images.render.fonts import Font, fonts, undrawable
from showtell.data.images.render.style import SizeClass
from showtell.data.texts.chunks import chunks
from showtell.data.tokenizers.pieces import Pieces
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import UserError
from showtell.wording import counted

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rendering:
    """How texts become images."""

    size: SizeClass
    canvas: tuple[int, int]
    """Height and width of an image, in pixels."""
    mask_rate: float = 0.15
    """Each token is drawn as `[MASK]` with this probability."""
    whole_words: bool = False
    """Mask all tokens of a word together, or none."""
    inverted: float = 0.5
    """The probability of white on black."""


class RenderedTexts:
    """Chunks of texts; a batch of them is drawn anew each time, equally for equal seeds.

    >>> from showtell.data.images.render.fonts import BUILT_IN
    >>> from showtell.data.images.render.style import SMALL
    >>> tokenizer = SubwordTokenizer.train(["a black dog"] * 2, "wordpiece", 30)
    >>> texts = RenderedTexts(["a dog a black dog"], tokenizer, Rendering(SMALL, (32, 128)), (BUILT_IN,))
    >>> batch = texts.batch([0, 0], seed=(1, 2))
    >>> batch.images.pixels.shape, tokenizer.decode(batch.texts.ids[0].tolist())
    (torch.Size([2, 3, 32, 128]), 'a dog a black dog')
    """

    def __init__(
        self,
        documents: Sequence[str],
        tokenizer: SubwordTokenizer,
        rendering: Rendering,
        among: Sequence[Font] | None = None,
        *,
        least: int | None = None,
    ) -> None:
        """Cut documents into chunks of at most `rendering.size.tokens` tokens.

        With `least`, of at most a number of tokens that is drawn for each, evenly from there on. `among` are
        the fonts, by default all of this machine.

        Chunks that no font can draw are left out, and logged, counted. Raises `UserError` where none is left.
        """
        self.tokenizer, self.rendering = tokenizer, rendering
        self.fonts = tuple(fonts() if among is None else among)
        found = [*chunks(documents, tokenizer, rendering.size.tokens, least)]
        self.texts = [text for text in found if self._drawable(text)]
        if not self.texts:
            raise UserError(
                undrawable(found[0], self.fonts) if found else "the texts hold nothing to draw; add some"
            )
        if lost := len(found) - len(self.texts):
            kept = set(self.texts)
            first = next(text for text in found if text not in kept)
            logger.warning(
                "%s of %d left out: %s", counted(lost, "text"), len(found), undrawable(first, self.fonts)
            )

    def __len__(self) -> int:
        return len(self.texts)

    def batch(self, items: Sequence[int], seed: tuple[int, ...]) -> Batch:
        """Some of the texts with start and end tokens, and their images.

        `images.pixels` are grey, the three channels equal (and one in memory); `targets.masked` and
        `targets.boxes` are aligned with `texts.ids`. `seed` decides fonts, styles and masks.
        """
        generator = np.random.default_rng(seed)
        rows = [self._row(self.texts[item], generator) for item in items]
        pixels = torch.from_numpy(np.stack([drawing.pixels for _, _, drawing in rows]))
        before, after = self._around()
        ids, keep = pad([[*before, *pieces.ids, *after] for pieces, _, _ in rows], self.tokenizer.pad)
        masked = torch.zeros(ids.shape, dtype=torch.bool)
        boxes = torch.full((*ids.shape, 4), torch.nan)
        for row, (pieces, hidden, drawing) in enumerate(rows):
            inside = slice(len(before), len(before) + len(pieces.ids))
            masked[row, inside] = torch.from_numpy(hidden)
            boxes[row, inside] = torch.from_numpy(drawing.boxes)
        return Batch(
            ImageBatch(pixels=pixels[:, None].expand(-1, 3, -1, -1)),
            TextBatch(ids, keep, owner=torch.arange(len(ids))),
            Targets(masked=masked, boxes=boxes),
        )

    def _row(self, text: str, generator: np.random.Generator) -> tuple[Pieces, np.ndarray, Drawing]:
        how = self.rendering
        pieces = self.tokenizer.pieces(text)
        hidden = choose_masked(pieces, how.mask_rate, how.whole_words, generator)
        style = how.size.sample(text, self.fonts, generator, how.inverted)
        drawing = draw(text, style, how.canvas, pieces.offsets, {*hidden.nonzero()[0].tolist()})
        return pieces, hidden, drawing

    def _around(self) -> tuple[list[int], list[int]]:
        """The special tokens before and after a text."""
        around = self.tokenizer.encode("")
        return around[:1], around[1:]

    def _drawable(self, text: str) -> bool:
        return any(font.covers(text) for font in self.fonts)


def choose_masked(
    pieces: Pieces, rate: float, whole_words: bool, generator: np.random.Generator
) -> np.ndarray:
    """`bool [T]`: each token is masked with probability `rate`, or each word with all its tokens."""
    if not pieces.ids:
        return np.zeros(0, bool)
    if whole_words:
        return (generator.random(pieces.groups[-1] + 1) < rate)[pieces.groups]
    return generator.random(len(pieces.ids)) < rate
