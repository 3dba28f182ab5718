"""A quadrilateral of an image, straightened."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from PIL import Image

LONGEST = 8000
"""Pixels of a side, above which a part is sampled more coarsely."""


def straighten(image: Image.Image, corners: Float[np.ndarray, "4 2"]) -> Image.Image:
    """The part of an image inside four corners `(x, y)`, as a rectangle, by the perspective that maps them.

    The corners go clockwise from the one that becomes the top left. Its sides are the longer of opposite
    ones, at least 1 pixel. What lies outside of the image is white.
    """
    sides = np.linalg.norm(np.roll(corners, -1, 0) - corners, axis=1)
    width, height = (int(np.clip(np.rint(max(sides[i], sides[i + 2])), 1, LONGEST)) for i in (0, 1))
    (left, top), (right, bottom) = corners[0], corners[2]
    if np.array_equal(corners, [(left, top), (right, top), (right, bottom), (left, bottom)]):
        inside = 0 <= left < right <= image.width and 0 <= top < bottom <= image.height
        if inside:
            return image.resize((width, height), Image.Resampling.BICUBIC, (left, top, right, bottom))
    there = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    coefficients = _perspective(there, np.asarray(corners, np.float64))
    return image.transform(
        (width, height),
        Image.Transform.PERSPECTIVE,
        coefficients.tolist(),
        Image.Resampling.BICUBIC,
        fillcolor="white",
    )


def _perspective(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """`a..h` of `x' = (a x + b y + c) / (g x + h y + 1)`, `y' = (d x + e y + f) / (g x + h y + 1)`."""
    rows, values = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0]
