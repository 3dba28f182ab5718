"""Texts drawn as images when a batch needs them, with masked tokens to be read and predicted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from showtell.data.batch import Batch, ImageBatch, Targets, TextBatch, pad
from showtell.data.images.page import MARGIN, Page
from showtell.data.images.render.draw import Drawing, draw
from showtell.data.images.render.fonts import Font, fonts, is_blank, undrawable
from showtell.data.images.render.paint import paint
from showtell.data.images.render.style import SizeClass
from showtell.data.sampler import SimilarLengths
from showtell.data.texts.chunks import chunks
from showtell.data.tokenizers.pieces import Pieces
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.division import parted, position
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
    page: Page | None = None
    """Where a text is drawn at its own size and then put, as an image that is read is; not on the canvas."""
    letters: bool = False
    """Whether a batch also says where each character is drawn."""
    originals: bool = False
    """Whether a batch also has its images with the masked tokens painted back."""


PAGE_SIZES = (14, 17, 20, 25, 32)
"""Pixels per em of texts on pages: letters end up equally high, but as sharp as an image of that size is."""
FONTS_HELD_OUT = 0.1
"""The share of the font families that training does not see."""


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
        most: int | None = None,
    ) -> None:
        """Cut documents into chunks of at most `rendering.size.tokens` tokens.

        With `least`, of at most a number of tokens that is drawn for each, evenly from there on. With `most`,
        the first so many chunks alone. `among` are the fonts, by default all of this machine.

        Chunks that no font can draw are left out, and logged, counted; blank ones without a word. Raises
        `UserError` where none is left.
        """
        self.tokenizer, self.rendering = tokenizer, rendering
        self.fonts = tuple(fonts() if among is None else among)
        cut = islice(chunks(documents, tokenizer, rendering.size.tokens, least), most)
        found = [text for text in cut if not is_blank(text)]
        self._letter_ids: dict[str, int] = {}
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

    def batches(self, size: int, seed: int) -> SimilarLengths:
        """Which texts come together: those of like length, whose images have little blank paper."""
        lengths = [len(text) for text in self.texts]
        return SimilarLengths(len(self), size, lambda epoch: lengths, seed)

    def batch(self, items: Sequence[int], seed: tuple[int, ...]) -> Batch:
        """Some of the texts with start and end tokens, and their images.

        `images.pixels` are grey, the three channels equal (and one in memory); `targets.masked` and
        `targets.boxes` are aligned with `texts.ids`. `seed` decides fonts, styles and masks.
        """
        generator = np.random.default_rng(seed)
        rows = [self._row(self.texts[item], generator) for item in items]
        images = {"pixels": [drawing.pixels for _, _, drawing, _ in rows]}
        if self.rendering.originals:
            images["originals"] = [original for _, _, _, original in rows]
        before, after = self._around()
        ids, keep = pad([[*before, *pieces.ids, *after] for pieces, _, _, _ in rows], self.tokenizer.pad)
        masked = torch.zeros(ids.shape, dtype=torch.bool)
        boxes = torch.full((*ids.shape, 4), torch.nan)
        for row, (pieces, hidden, drawing, _) in enumerate(rows):
            inside = slice(len(before), len(before) + len(pieces.ids))
            masked[row, inside] = torch.from_numpy(hidden)
            boxes[row, inside] = torch.from_numpy(drawing.boxes)
        return Batch(
            ImageBatch(**{name: three_channels(pixels) for name, pixels in images.items()}),
            TextBatch(ids, keep, owner=torch.arange(len(ids))),
            Targets(masked=masked, boxes=boxes, **self._letters([drawing for _, _, drawing, _ in rows])),
        )

    def _letters(self, drawings: Sequence[Drawing]) -> dict[str, Tensor]:
        if not self.rendering.letters:
            return {}
        ids, _ = pad([[*map(self._letter, drawing.text)] for drawing in drawings], self.tokenizer.pad)
        boxes = torch.full((*ids.shape, 4), torch.nan)
        for row, drawing in enumerate(drawings):
            boxes[row, : len(drawing.letters)] = torch.from_numpy(drawing.letters)
        return {"letters": ids, "letter_boxes": boxes}

    def _letter(self, character: str) -> int:
        """The first token of a character alone."""
        if character not in self._letter_ids:
            found = self.tokenizer.pieces(character).ids
            self._letter_ids[character] = found[0] if found else self.tokenizer.pad
        return self._letter_ids[character]

    def _row(
        self, text: str, generator: np.random.Generator
    ) -> tuple[Pieces, np.ndarray, Drawing, np.ndarray]:
        how = self.rendering
        pieces = self.tokenizer.pieces(text)
        hidden = choose_masked(pieces, how.mask_rate, how.whole_words, generator)
        style = how.size.sample(text, self.fonts, generator, how.inverted)
        canvas = None if how.page else how.canvas
        if how.page:
            style = replace(style, size=float(generator.choice(PAGE_SIZES)))
        masked = {*hidden.nonzero()[0].tolist()}
        drawing = draw(text, style, canvas, pieces.offsets, masked, letters=how.letters)
        if how.page:
            drawing = on_page(drawing, how.page)
        original = drawing.pixels
        if how.originals and hidden.any():
            original = original.copy()
            for token in hidden.nonzero()[0]:
                if not np.isnan(drawing.boxes[token]).any():
                    word = text[slice(*pieces.offsets[token])].strip()
                    paint(original, drawing.boxes[token].tolist(), word, style.font)
        return pieces, hidden, drawing, original

    def _around(self) -> tuple[list[int], list[int]]:
        """The special tokens before and after a text."""
        around = self.tokenizer.encode("")
        return around[:1], around[1:]

    def _drawable(self, text: str) -> bool:
        return any(font.covers(text) for font in self.fonts)


def divide_fonts(among: Sequence[Font]) -> tuple[tuple[Font, ...], tuple[Font, ...]]:
    """Fonts to train on and held-out ones, by family: all styles of one are on the same side.

    >>> from showtell.data.images.render.fonts import BUILT_IN
    >>> [len(side) for side in divide_fonts((BUILT_IN,))]
    [1, 0]
    """
    held = [position(_family(font).encode()) < FONTS_HELD_OUT for font in among]
    seen, unseen = (tuple(fonts) for fonts in parted(among, held))
    return (seen, unseen) if seen else (unseen, seen)


def _family(font: Font) -> str:
    """The file's name up to its style: `DejaVuSans` of `DejaVuSans-Bold.ttf`."""
    return Path(font.path).stem.partition("-")[0] or font.name


def trimmed(batch: Batch, stride: tuple[int, int]) -> Batch:
    """A batch of pages without the white rows and columns after the last ink, to a multiple of the stride."""
    inked = (batch.images.pixels[:, 0] < 255).any(0)
    sides = []
    for dim, step in ((1, stride[0]), (0, stride[1])):
        last = _last(inked.any(dim))
        sides.append(min(-(-(last + MARGIN) // step) * step, inked.shape[1 - dim]))
    height, width = sides
    images = {name: pixels[:, :, :height, :width] for name, pixels in batch.images.tensors.items()}
    return replace(batch, images=ImageBatch(**images))


def _last(inked: Tensor) -> int:
    """How many of `bool [N]` there are up to the last True."""
    places = inked.nonzero()
    return int(places[-1]) + 1 if len(places) else 1


def on_page(drawing: Drawing, page: Page) -> Drawing:
    """A drawing on a page, with its boxes."""
    fitted = page.fit(drawing.pixels)
    boxes, letters = (
        (found * fitted.scale + np.array([fitted.left, fitted.top] * 2)).astype(np.float32)
        for found in (drawing.boxes, drawing.letters)
    )
    scale = drawing.scale * fitted.scale
    return replace(drawing, pixels=fitted.pixels, boxes=boxes, letters=letters, scale=scale)


def three_channels(pixels: list[np.ndarray]) -> Tensor:
    """Grey images as `uint8 [B 3 H W]`, one channel of them in memory."""
    return torch.from_numpy(np.stack(pixels))[:, None].expand(-1, 3, -1, -1)


def choose_masked(
    pieces: Pieces, rate: float, whole_words: bool, generator: np.random.Generator
) -> np.ndarray:
    """`bool [T]`: each token is masked with probability `rate`, or each word with all its tokens."""
    if not pieces.ids:
        return np.zeros(0, bool)
    if whole_words:
        return (generator.random(pieces.groups[-1] + 1) < rate)[pieces.groups]
    return generator.random(len(pieces.ids)) < rate
