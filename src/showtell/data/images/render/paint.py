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
    height, width = pixels.shape[:2]
    left, right = max(round(box[0]), 0), min(round(box[2]), width)
    top, bottom = max(round(box[1]), 0), min(round(box[3]), height)
    if left >= right or top >= bottom:
        return
    inside = pixels[top:bottom, left:right]
    paper = np.median(inside, (0, 1))
    ink = inside.reshape(-1, *pixels.shape[2:])
    far = np.abs(ink - paper).reshape(len(ink), -1).sum(1).argmax()
    letters = _fitted(word, face_of(font, _size(font, bottom - top)), right - left, bottom - top) / 255
    letters = letters if pixels.ndim == 2 else letters[..., None]
    inside[:] = np.rint(paper + letters * (ink[far].astype(float) - paper))


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
