"""Where each pixel of a prepared image comes from: a prepared image is one square of it, or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from showtell.data.images.mosaic import Mosaic
from showtell.data.images.preprocess import Preprocessing

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, 0 to 1 of an image's width and height."""


@dataclass(frozen=True)
class Square:
    """One square of a prepared image."""

    size: int
    left: int
    """Its place on the canvas, pixels."""
    seen: Box
    """The part of the image that it shows."""

    @property
    def place(self) -> tuple[slice, slice]:
        """Its rows and columns on the canvas."""
        return slice(self.size), slice(self.left, self.left + self.size)


class Squares:
    """The squares of an image of `height` and `width` pixels, prepared."""

    def __init__(self, prepare: Preprocessing | Mosaic, height: int, width: int) -> None:
        left = 0
        squares = list[Square]()
        for part in prepare.parts:
            squares.append(Square(part.size, left, part.seen(height, width)))
            left += part.size
        self.squares: Sequence[Square] = squares
        self.size = prepare.size
        edges = np.array([square.seen for square in squares])
        self.seen: Box = (*edges[:, :2].min(0).tolist(), *edges[:, 2:].max(0).tolist())
        """The part of the image that any of them shows."""

    def patches(self, grid: int) -> np.ndarray:
        """The patch that each pixel of the canvas shows, `int64 [H W]`: `grid` x `grid` cover `seen`."""
        canvas = np.zeros((self.size, sum(square.size for square in self.squares)), np.int64)
        for square in self.squares:
            left, top, right, bottom = self._within(square)
            middle = (np.arange(square.size) + 0.5) / square.size
            rows, columns = (
                ((first + middle * (last - first)) * grid).astype(np.int64).clip(0, grid - 1)
                for first, last in ((top, bottom), (left, right))
            )
            canvas[square.place] = rows[:, None] * grid + columns
        return canvas

    def on_image(self, heat: np.ndarray) -> np.ndarray:
        """Heat of the canvas `[H W]` as that of the part `seen`, `[size size]`, all squares added up."""
        frame = np.zeros((self.size, self.size), np.float32)
        for square in self.squares:
            left, top, right, bottom = (round(edge * self.size) for edge in self._within(square))
            part = Image.fromarray(heat[square.place].astype(np.float32))
            part = part.resize((max(right - left, 1), max(bottom - top, 1)), Image.Resampling.BILINEAR)
            density = square.size**2 / (part.width * part.height)
            frame[top : top + part.height, left : left + part.width] += np.asarray(part) * density
        return frame

    def _within(self, square: Square) -> Box:
        """Where a square lies within `seen`, 0 to 1."""
        left, top, right, bottom = self.seen
        width, height = right - left, bottom - top
        first, high, last, low = square.seen
        return (first - left) / width, (high - top) / height, (last - left) / width, (low - top) / height
