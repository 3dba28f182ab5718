"""Maps of words and of images, as one self-contained HTML file and as one PNG for slides and papers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from showtell.html.drawing import draw_images, draw_words
from showtell.html.page import write_page
from showtell.writing import write_file


@dataclass(frozen=True)
class ShownImage:
    """An image as a page shows it."""

    path: str
    thumbnail: bytes
    """JPEG."""
    caption: str = ""


class WordMark(NamedTuple):
    """A word on a map."""

    word: str
    size: float
    """Of the letters, in units of the page's own."""


@dataclass(frozen=True)
class WordMap:
    """Words at points; the first are the most frequent, larger, and kept where labels overlap."""

    kind: ClassVar = "words"
    words: Sequence[str]
    points: np.ndarray
    """`[N 2]`, 0 to 1, the second axis downward."""

    @property
    def marks(self) -> list[tuple[WordMark, float, float]]:
        """Each word with its x and y."""
        last = max(len(self.words) - 1, 1)
        sizes = [1.5 - 0.75 * (place / last) ** 0.5 for place in range(len(self.words))]
        return [
            (WordMark(word, size), x, y)
            for word, size, (x, y) in zip(self.words, sizes, _pairs(self.points), strict=True)
        ]

    def png(self) -> bytes:
        """The map as one image."""
        return draw_words(self.words, self.points)


@dataclass(frozen=True)
class ImageMap:
    """Images at points; the first are kept large where images would overlap."""

    kind: ClassVar = "images"
    images: Sequence[ShownImage]
    points: np.ndarray
    """`[N 2]`, 0 to 1, the second axis downward."""

    @property
    def marks(self) -> list[tuple[ShownImage, float, float]]:
        """Each image with its x and y."""
        return [(image, x, y) for image, (x, y) in zip(self.images, _pairs(self.points), strict=True)]

    def png(self) -> bytes:
        """The map as one image."""
        return draw_images([image.thumbnail for image in self.images], self.points)


def write_map(path: Path, content: WordMap | ImageMap, title: str) -> Path:
    """Write a map as one HTML file, and as a PNG beside it, whose path is returned.

    Raises `UsageError` when `path` does not end in `.html`, `UserError` when it cannot be written.
    """
    write_page(path, "map", title=title, map=content, layout="alone")
    png = path.with_suffix(".png")
    write_file(png, content.png())
    return png


def _pairs(points: np.ndarray) -> list[list[float]]:
    return np.asarray(points, dtype=float).reshape(-1, 2).tolist()
