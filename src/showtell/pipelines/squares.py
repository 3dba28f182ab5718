"""Where each pixel of a prepared image comes from: a prepared image is one square of it, or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from showtell.data.images.mosaic import Mosaic
from showtell.data.images.page import Page
from showtell.data.images.preprocess import Preprocessing

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, 0 to 1 of an image's width and height."""


@dataclass(frozen=True)
class Square:
    """One square of a prepared image, or the whole of a page."""

    rows: int
    columns: int
    left: int
    """Its place on the canvas, pixels."""
    seen: Box
    """The part of the image that it shows."""

    @property
    def place(self) -> tuple[slice, slice]:
        """Its rows and columns on the canvas."""
        return slice(self.rows), slice(self.left, self.left + self.columns)


class Squares:
    """The squares of an image `uint8 [H W 3]`, prepared; of a page, the page itself."""

    def __init__(self, prepare: Preprocessing | Mosaic | Page, pixels: np.ndarray) -> None:
        self.shape = prepare.shape[:2]
        left = 0
        squares = list[Square]()
        for part in prepare.parts:
            squares.append(Square(part.size, part.size, left, part.seen(*pixels.shape[:2])))
            left += part.size
        self.image = pixels if squares else prepare(pixels)
        """What heat is drawn over."""
        self.squares: Sequence[Square] = squares or [Square(*self.shape, 0, (0.0, 0.0, 1.0, 1.0))]
        edges = np.array([square.seen for square in self.squares])
        self.seen: Box = (*edges[:, :2].min(0).tolist(), *edges[:, 2:].max(0).tolist())
        """The part of the image that any of them shows."""

    def patches(self, rows: int, columns: int) -> np.ndarray:
        """The patch that each pixel of the canvas shows, `int64 [H W]`: `rows` x `columns` cover `seen`."""
        canvas = np.zeros(self.shape, np.int64)
        for square in self.squares:
            left, top, right, bottom = self._within(square)
            row = _patch(square.rows, top, bottom, rows)
            column = _patch(square.columns, left, right, columns)
            canvas[square.place] = row[:, None] * columns + column
        return canvas

    def on_image(self, heat: np.ndarray) -> np.ndarray:
        """Heat of the canvas `[H W]` as that of the part `seen`, all squares added up."""
        height, width = (
            max(sides) for sides in zip(*((s.rows, s.columns) for s in self.squares), strict=True)
        )
        frame = np.zeros((height, width), np.float32)
        for square in self.squares:
            left, top, right, bottom = (
                round(edge * side)
                for edge, side in zip(self._within(square), (width, height) * 2, strict=True)
            )
            part = Image.fromarray(heat[square.place].astype(np.float32))
            part = part.resize((max(right - left, 1), max(bottom - top, 1)), Image.Resampling.BILINEAR)
            density = square.rows * square.columns / (part.width * part.height)
            frame[top : top + part.height, left : left + part.width] += np.asarray(part) * density
        return frame

    def _within(self, square: Square) -> Box:
        """Where a square lies within `seen`, 0 to 1."""
        left, top, right, bottom = self.seen
        width, height = right - left, bottom - top
        first, high, last, low = square.seen
        return (first - left) / width, (high - top) / height, (last - left) / width, (low - top) / height


def _patch(pixels: int, first: float, last: float, count: int) -> np.ndarray:
    """Which of `count` parts of the whole each of `pixels` pixels from `first` to `last`, 0 to 1, is in."""
    middles = first + (np.arange(pixels) + 0.5) / pixels * (last - first)
    return (middles * count).astype(np.int64).clip(0, count - 1)
