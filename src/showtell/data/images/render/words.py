"""Words as bitmaps: drawn once per font, size and word."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Sequence
from functools import cache, cached_property, lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from PIL import ImageFont, features

from showtell.data.images.render.fonts import BUILT_IN, Font

logger = logging.getLogger(__name__)

MASK = "[MASK]"
"""What is drawn in place of a masked token."""
Direction = Literal["ltr", "rtl"]
FACES, WORDS, GLYPHS = 512, 1 << 16, 1 << 17
"""How many faces, words, and glyphs or pairs of them are kept: 0.2 GB of words at the most."""
_LETTERS = "the five boxing wizards jump quickly over a lazy dog and then some more of it"
_COMPLEX = re.compile(
    r"[\u0300-\u036f\u0590-\u109f\u1100-\u11ff\u1700-\u18af\u1a00-\u1bff\u200c\u200d\ufb1d-\ufdff\ufe70-\ufefe]"
)
"""Characters whose shape or place depends on their neighbours."""


class Word(NamedTuple):
    """A drawn word."""

    bitmap: np.ndarray
    """`uint8 [h w]`, 0 where there is no ink; cropped to its ink."""
    left: int
    """Of the bitmap, from where the word begins on the left."""
    top: int
    """Of the bitmap, from the baseline; negative is above it."""
    advance: float
    """Pixels from where the word begins to where it ends."""
    edges: tuple[float, ...]
    """Where each character begins and the last one ends, in pixels from where the word begins: on the left,
    or on the right where it runs to the left."""
    direction: Direction | None
    """Of its first letter; None without any."""


class Face:
    """A font at one size."""

    def __init__(self, font: Font, size: float) -> None:
        self.font, self.size = font, size
        self.basic = font.at(size, ImageFont.Layout.BASIC)
        self.ascent, self.descent = self.basic.getmetrics()
        self.space = self.basic.getlength(" ")
        latin = font.covers(_LETTERS)
        self.letter = self.basic.getlength(_LETTERS) / len(_LETTERS) if latin else size / 2
        """Width of an average letter, in pixels; half an em in a font without Latin ones."""
        self.has_mask = font.covers(MASK)

    @cached_property
    def shaped(self) -> ImageFont.FreeTypeFont:
        """The same with shaping, where Pillow has it."""
        return self.font.at(self.size, ImageFont.Layout.RAQM) if shaping() else self.basic


@lru_cache(FACES)
def face_of(font: Font, size: float) -> Face:
    """A font at a size in pixels per em; the latest are kept."""
    return Face(font, size)


@lru_cache(WORDS)
def draw_word(face: Face, word: str) -> Word:
    """A word drawn; the latest are kept.

    Without shaping a glyph does not depend on its neighbours, so a word is made of the bitmaps of its glyphs
    at whole pixels, and equals what Pillow draws. Words that need shaping are drawn by raqm.
    """
    if word == MASK and not face.has_mask:
        return draw_word(face_of(BUILT_IN, face.size), MASK)
    direction = direction_of(word)
    if needs_shaping(word):
        toward = (direction or "ltr") if shaping() else None
        lengths = [face.shaped.getlength(word[:n], direction=toward) for n in range(1, len(word) + 1)]
        return Word(*_bitmap(face.shaped, word, toward), lengths[-1], (0.0, *lengths), direction)
    glyphs = [_glyph(face, letter) for letter in word]
    edges = [0.0]
    for last, letter in pairwise(word):
        edges.append(edges[-1] + _distance(face, last, letter))
    parts = [(g.bitmap, int(x + 0.5) + g.left, g.top) for g, x in zip(glyphs, edges, strict=True)]
    edges.append(edges[-1] + glyphs[-1].advance)
    return Word(*overlaid(parts), edges[-1], tuple(edges), direction)


@lru_cache(GLYPHS)
def _glyph(face: Face, letter: str) -> Word:
    advance = face.basic.getlength(letter)
    return Word(*_bitmap(face.basic, letter, None), advance, (0.0, advance), None)


@lru_cache(GLYPHS)
def _distance(face: Face, last: str, letter: str) -> float:
    """How far after one glyph the next one begins, with kerning."""
    return face.basic.getlength(last + letter) - _glyph(face, letter).advance


def _bitmap(
    font: ImageFont.FreeTypeFont, text: str, direction: Direction | None
) -> tuple[np.ndarray, int, int]:
    """The ink of a text `uint8 [h w]`, and where it begins on the left and top."""
    mask, (left, top) = font.getmask2(text, "L", anchor="ls", direction=direction)
    bitmap = np.array(mask, dtype=np.uint8).reshape(mask.size[::-1])
    rows, columns = np.flatnonzero(bitmap.any(axis=1)), np.flatnonzero(bitmap.any(axis=0))
    if not rows.size:
        return bitmap[:0, :0], 0, 0
    inked = bitmap[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()
    return inked, left + int(columns[0]), top + int(rows[0])


def overlaid(parts: Sequence[tuple[np.ndarray, int, int]], margin: int = 0) -> tuple[np.ndarray, int, int]:
    """Bitmaps on one page with a margin around their ink, and where that begins on the left and top.

    Each comes with its left and top, line by line from the left. Where two overlap the later lies over the
    earlier, as Pillow does it.
    """
    inked = [(bitmap, x, y, *bitmap.shape) for bitmap, x, y in parts if bitmap.size]
    if not inked:
        return np.zeros((0, 0), np.uint8), 0, 0
    left, top = min([part[1] for part in inked]) - margin, min([part[2] for part in inked]) - margin
    right = max([part[1] + part[4] for part in inked]) + margin
    bottom = max([part[2] + part[3] for part in inked]) + margin
    page = np.zeros((bottom - top, right - left), np.uint8)
    above = below = top  # where the lines before end, and all so far
    to_right = left  # where this line ends so far
    for bitmap, x, y, height, width in inked:
        if y >= below:
            above, to_right = below, left
        if x < to_right or y < above:
            under = page[y - top : y - top + height, x - left : x - left + width]
            covered = under * (255 - bitmap.astype(np.uint16)) + 128
            bitmap = bitmap + (covered + (covered >> 8) >> 8)
        page[y - top : y - top + height, x - left : x - left + width] = bitmap
        if x + width > to_right:
            to_right = x + width
        if y + height > below:
            below = y + height
    return page, left, top


def needs_shaping(word: str) -> bool:
    """Whether the letters of a word change with their neighbours, or run from right to left.

    >>> needs_shaping("fiancé"), needs_shaping("黑猫"), needs_shaping("שלום"), needs_shaping("नमस्ते")
    (False, False, True, True)
    """
    return not word.isascii() and _COMPLEX.search(word) is not None


@cache
def shaping() -> bool:
    """Whether Pillow can shape, which is said once where it cannot."""
    able = bool(features.check("raqm"))
    if not able:
        logger.warning(
            "Pillow has no raqm here: Arabic, Hebrew and Indic letters are drawn in order of storage, "
            "unjoined; pip install --force-reinstall pillow brings a build that has it"
        )
    return able


def direction_of(text: str) -> Direction | None:
    """The direction of the first letter that has one; `[MASK]` has none.

    >>> direction_of("[MASK] (שלום)"), direction_of("a"), direction_of("12 [MASK]")
    ('rtl', 'ltr', None)
    """
    text = text.replace(MASK, "")
    if text.isascii():
        return "ltr" if any(map(str.isalpha, text)) else None
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in ("L", "R", "AL"):
            return "ltr" if kind == "L" else "rtl"
    return None
