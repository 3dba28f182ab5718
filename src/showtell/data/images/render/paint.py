"""A word drawn into a box of an image, in the colours of what it replaces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from showtell.data.images.render.fonts import Font
from showtell.data.images.render.words import Face, draw_word, face_of


def paint(pixels: np.ndarray, box: Sequence[float], word: str, font: Font) -> None:
    """Replace what is inside a box (left, top, right, bottom) of an image, `uint8 [H W]` or `[H W 3]`, in
    place.

    The word is as tall as the box's line and squeezed, not stretched, to its width. Paper has the median
    colour of the box, ink the one that differs most from it.

    >>> from showtell.data.images.render.fonts import BUILT_IN
    >>> image = np.full((20, 60), 255, np.uint8)
    >>> image[5:15, 10:50] = 0
    >>> paint(image, (5, 0, 55, 20), "dog", BUILT_IN)
    >>> bool((image[:, :5] == 255).all()), bool((image[:, 5:20] < 128).any())
    (True, True)
    """
    place = inside(box, pixels.shape)
    if place is not None:
        height, width = pixels[place].shape[:2]
        blend(pixels, place, _fitted(word, face_of(font, _size(font, height)), width, height) / 255)


def inside(box: Sequence[float], shape: Sequence[int]) -> tuple[slice, slice] | None:
    """The rows and columns of an image of a shape that a box covers; None for no pixel.

    >>> inside((1.6, -3.0, 9.0, 2.4), (5, 8)), inside((9, 0, 12, 5), (5, 8))
    ((slice(0, 2, None), slice(2, 8, None)), None)
    """
    left, right = max(round(box[0]), 0), min(round(box[2]), shape[1])
    top, bottom = max(round(box[1]), 0), min(round(box[3]), shape[0])
    return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None


def blend(pixels: np.ndarray, place: tuple[slice, slice], ink: np.ndarray) -> None:
    """Put `ink [h w]`, 0 for paper to 1, into a place of an image, in the colours that are there."""
    there = pixels[place]
    paper = np.median(there, (0, 1))
    colours = there.reshape(-1, *pixels.shape[2:])
    far = np.abs(colours - paper).reshape(len(colours), -1).sum(1).argmax()
    share = ink if pixels.ndim == 2 else ink[..., None]
    there[:] = np.rint(paper + share * (colours[far].astype(float) - paper))


def _size(font: Font, height: int) -> int:
    """Pixels per em at which a line of a font is about that high."""
    reference = face_of(font, 100)
    return max(round(100 * height / (reference.ascent + reference.descent)), 2)


def _fitted(word: str, using: Face, width: int, height: int) -> np.ndarray:
    """How much ink of a word each pixel of a box has, `[height width]` in 0..255, on the line's baseline."""
    page = np.zeros((height, width))
    if not word:
        return page
    drawn = draw_word(using, word)
    ink, left = drawn.bitmap, max(drawn.left, 0)
    if not ink.size:
        return page
    if left + ink.shape[1] > width:
        left, squeezed = 0, Image.fromarray(ink)
        ink = np.asarray(squeezed.resize((width, ink.shape[0]), Image.Resampling.LANCZOS))
    first = min(max(using.ascent + drawn.top, 0), max(height - ink.shape[0], 0))
    page[first : first + ink.shape[0], left : left + ink.shape[1]] = ink[: height - first]
    return page
