"""A page: an image of text made ready to be read, wherever the image came from.

Dark letters on white, cropped to the ink, letters of one height. So the colours, the resolution and the
margins of an image make no difference to what a network sees.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

MARGIN = 4
"""Pixels of white around the text of a page."""
_FAINT, _INK, _CORE = 16, 0.4, 0.35
"""The least contrast that counts as a text; the share of the darkest ink from which on a pixel is ink; and
that of the ink of a full row from which on a row is inside a line of small letters."""


class Fitted(NamedTuple):
    """A page, and where the image lies on it."""

    pixels: UInt8[np.ndarray, "H W"]
    """White paper, dark ink."""
    scale: float
    """Pixels of the page per pixel of the image."""
    left: float
    top: float
    """Of the image on the page, in pixels."""

    def place(self, boxes: Float[np.ndarray, "T 4"]) -> Float[np.ndarray, "T 4"]:
        """Boxes in pixels of the image (left, top, right, bottom) as fractions of the page."""
        height, width = self.pixels.shape
        moved = boxes * self.scale + np.array([self.left, self.top] * 2)
        return np.clip(moved / np.array([width, height] * 2), 0, 1)

    def origin(self, boxes: Float[np.ndarray, "T 4"]) -> Float[np.ndarray, "T 4"]:
        """Fractions of the page as pixels of the image."""
        height, width = self.pixels.shape
        return (boxes * np.array([width, height] * 2) - np.array([self.left, self.top] * 2)) / self.scale


@dataclass(frozen=True)
class Page:
    """Pages of `height` by `width` pixels, on which small letters are `letter` pixels high; 0: as high as
    fits.

    A text that would not fit is made smaller.

    >>> page = Page.of("page32x64of7-v1")
    >>> page(np.zeros((90, 200, 3), np.uint8)).shape, page.version
    ((32, 64, 3), 'page32x64of7-v1')
    """

    height: int
    width: int
    letter: int

    @classmethod
    def of(cls, version: str) -> Page:
        """The page with a version. Raises `ValueError` for an unknown one."""
        known = re.fullmatch(r"page([1-9]\d*)x([1-9]\d*)of(\d+)-v1", version, re.ASCII)
        if known is None:
            raise ValueError(f"there is no page {version!r}")
        return cls(*map(int, known.groups()))

    @property
    def version(self) -> str:
        """The name that `of` reads."""
        return f"page{self.height}x{self.width}of{self.letter}-v1"

    @property
    def size(self) -> int:
        """The longer side."""
        return max(self.height, self.width)

    @property
    def parts(self) -> tuple[()]:
        """No squares of the image: its content says where its pixels come to lie."""
        return ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a page."""
        return self.height, self.width, 3

    def __call__(self, pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "H W 3"]:
        """`uint8 [h w 3]` to `uint8 [height width 3]`, grey."""
        return np.repeat(self.fit(grey(pixels)).pixels[..., None], 3, 2)

    def fit(self, pixels: UInt8[np.ndarray, "h w"]) -> Fitted:
        """A grey image on its page; a blank one leaves the page white."""
        ink, inked = ink_of(pixels)
        rows, columns = np.flatnonzero(inked.any(1)), np.flatnonzero(inked.any(0))
        page = np.full((self.height, self.width), 255, np.uint8)
        if not len(rows):
            return Fitted(page, 1.0, 0.0, 0.0)
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        high, wide = bottom - top, right - left
        room = (self.height - 2 * MARGIN, self.width - 2 * MARGIN)
        scale = min(room[0] / high, room[1] / wide)
        if self.letter:
            scale = min(scale, self.letter / letter_height(ink))
        height, width = max(round(high * scale), 1), max(round(wide * scale), 1)
        cropped = Image.fromarray(ink[top:bottom, left:right])
        scaled = np.asarray(cropped.resize((width, height), Image.Resampling.LANCZOS))
        page[MARGIN : MARGIN + height, MARGIN : MARGIN + width] -= scaled
        return Fitted(page, scale, MARGIN - left * scale, MARGIN - top * scale)


def grey(pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w"]:
    """The luminance of an image."""
    return np.asarray(Image.fromarray(pixels).convert("L"))


def ink_of(pixels: UInt8[np.ndarray, "h w"]) -> tuple[UInt8[np.ndarray, "h w"], np.ndarray]:
    """How much each pixel differs from the paper, the most 255, and `bool [h w]`, which pixels are ink.

    The paper has the colour of the image's edge; letters may be darker or brighter.
    """
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    paper = int(np.median(edge))
    below, above = paper - int(pixels.min()), int(pixels.max()) - paper
    contrast = max(below, above)
    if contrast < _FAINT:
        return np.zeros_like(pixels), np.zeros(pixels.shape, bool)
    change = np.arange(256) - paper
    steps = np.clip((-change if below >= above else change) * (255 / contrast), 0, 255)
    ink = np.rint(steps).astype(np.uint8)[pixels]
    return ink, ink > 255 * _INK


def letter_height(ink: UInt8[np.ndarray, "h w"]) -> float:
    """The height of a small letter (the "x-height"): the median over the lines of a text, which has ink.

    Most ink of a line lies between the bottom and the top of its small letters. So what reaches further, up
    to the next line even, does not count: brackets, accents, capitals among small letters.
    """
    return float(np.median([last - first for first, last in line_cores(ink)]))


def line_cores(ink: UInt8[np.ndarray, "h w"]) -> list[tuple[int, int]]:
    """The first and past-the-last row of the small letters of each line; a line of little ink is left out."""
    rows = ink.sum(1, dtype=np.int64)
    inked = rows > _CORE * np.percentile(rows[rows > 0], 95)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inked, [False]])))
    pairs = [(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]
    highest = max(last - first for first, last in pairs)
    return [(first, last) for first, last in pairs if (last - first) * 2 >= highest]
