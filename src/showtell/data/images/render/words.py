"""Words as bitmaps: drawn once per font, size and word."""

from __future__ import annotations

import logging
import re
import unicodedata
from functools import cache, cached_property, lru_cache
from typing import Literal, NamedTuple

import numpy as np
from PIL import ImageFont, features

from showtell.data.images.render.fonts import BUILT_IN, Font

logger = logging.getLogger(__name__)

MASK = "[MASK]"
"""What is drawn in place of a masked token."""
Direction = Literal["ltr", "rtl"]
WORDS, FACES = 2048, 256
"""How many words are kept per face, and how many faces: 0.2 GB at the very most."""
_LETTERS = "the five boxing wizards jump quickly over a lazy dog and then some more of it"
_COMPLEX = re.compile(
    r"[\u0300-\u036f\u0590-\u109f\u1100-\u11ff\u1700-\u18af\u1a00-\u1bff\u200c\u200d\ufb1d-\ufdff\ufe70-\ufefe]"
)
"""Characters whose shape or place depends on their neighbours."""


class Word(NamedTuple):
    """A drawn word."""

    bitmap: np.ndarray
    """`uint8 [h w]`, 0 where there is no ink."""
    left: int
    """Of the bitmap, from where the word begins."""
    top: int
    """Of the bitmap, from the baseline; negative is above it."""
    advance: float
    """Pixels from where the word begins to where it ends."""


class Face:
    """A font at one size, and the words that were drawn with it.

    The bitmap of a word, placed at a whole pixel, is what Pillow draws of it inside a line: without shaping a
    glyph does not depend on the word before. Words that need shaping are drawn by raqm, where Pillow has it.
    """

    def __init__(self, font: Font, size: float) -> None:
        self.basic = font.at(size, ImageFont.Layout.BASIC)
        self._font, self._size = font, size
        self.ascent, self.descent = self.basic.getmetrics()
        self.space = self.basic.getlength(" ")
        covers = font.covers(_LETTERS)
        self.letter = self.basic.getlength(_LETTERS) / len(_LETTERS) if covers else size / 2
        """Width of an average letter, in pixels; half an em in a font without Latin ones."""
        self.has_mask = font.covers(MASK)
        self.word = lru_cache(WORDS)(self._draw)

    @cached_property
    def shaped(self) -> ImageFont.FreeTypeFont:
        """The same with shaping."""
        return self._font.at(self._size, ImageFont.Layout.RAQM) if shaping() else self.basic

    def length(self, word: str) -> float:
        """The advance of a word, in pixels."""
        if needs_shaping(word):
            return float(self.shaped.getlength(word))
        return float(self.basic.getlength(word))

    def _draw(self, word: str, direction: Direction = "ltr") -> Word:
        if word == MASK and not self.has_mask:
            return face(BUILT_IN, self._size).word(MASK)
        shaped = needs_shaping(word)
        font = self.shaped if shaped else self.basic
        toward = direction if shaped and shaping() else None
        mask, (left, top) = font.getmask2(word, "L", anchor="ls", direction=toward)
        width, height = mask.size
        bitmap = np.array(mask, dtype=np.uint8).reshape(height, width)
        return Word(bitmap, left, top, float(font.getlength(word, direction=toward)))


@lru_cache(FACES)
def face(font: Font, size: float) -> Face:
    """The face of a font at a size in pixels per em; the latest are kept."""
    return Face(font, size)


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
    """The direction of the first letter that has one.

    >>> direction_of("(שלום)"), direction_of("a"), direction_of("12")
    ('rtl', 'ltr', None)
    """
    if text.isascii():
        return "ltr" if any(map(str.isalpha, text)) else None
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in ("L", "R", "AL"):
            return "ltr" if kind == "L" else "rtl"
    return None
