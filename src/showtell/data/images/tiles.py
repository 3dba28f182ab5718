"""A text that is longer than a page: divided between its lines, and a wide line between its words, into tiles
that each fill a page.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import UInt8

from showtell.data.images.page import MARGIN, Page, ink_of, letter_height, line_cores

SHRUNK = 0.8
"""A text that fits on its page with letters of this share of their height, or higher, is not divided."""
_SPACE = 0.3
"""The least width of a space between words, in heights of a small letter."""


@dataclass(frozen=True)
class Tile:
    """A part of an image, in pixels: some lines of its text, or a part of one."""

    left: int
    top: int
    right: int
    bottom: int
    breaks: tuple[int, ...] = ()
    """Rows inside it, each between two lines."""

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom."""
        return self.left, self.top, self.right, self.bottom

    def of(self, pixels: np.ndarray) -> np.ndarray:
        """Its pixels."""
        return pixels[self.top : self.bottom, self.left : self.right]

    def halves(self) -> list[Tile]:
        """Two tiles with half of the lines each; none of a single line.

        >>> [half.box for half in Tile(0, 0, 9, 30, (10, 20)).halves()]
        [(0, 0, 9, 20), (0, 20, 9, 30)]
        """
        if not self.breaks:
            return []
        middle = len(self.breaks) // 2
        upper, row, lower = self.breaks[:middle], self.breaks[middle], self.breaks[middle + 1 :]
        return [replace(self, bottom=row, breaks=upper), replace(self, top=row, breaks=lower)]


def tiles(pixels: UInt8[np.ndarray, "h w"], page: Page) -> list[Tile]:
    """The tiles of a grey image, from the top and the left: one where its text fits on the page."""
    height, width = pixels.shape
    ink, inked = ink_of(pixels)
    rows = np.flatnonzero(inked.any(1))
    if not len(rows):
        return [Tile(0, 0, width, height)]
    whole = Tile(0, 0, width, height, tuple(line_breaks(ink)))
    if not page.letter:
        return [whole]
    letter = letter_height(ink)
    room = [(side - 2 * MARGIN) * letter / (page.letter * SHRUNK) for side in (page.height, page.width)]
    return [
        part
        for some in _by_rows(whole, (int(rows[0]), int(rows[-1]) + 1), room[0])
        for part in _by_columns(some, inked, room[1], letter * _SPACE)
    ]


def line_breaks(ink: UInt8[np.ndarray, "h w"]) -> list[int]:
    """A row between each two lines, where there is the least ink; of several the middle one."""
    amount = ink.sum(1, dtype=np.int64)
    cores = line_cores(ink)
    found = []
    for (_, end), (start, _) in pairwise(cores):
        least = np.flatnonzero(amount[end:start] == amount[end:start].min())
        found.append(end + int(least[len(least) // 2]))
    return found


def _by_rows(whole: Tile, ink: tuple[int, int], room: float) -> Iterator[Tile]:
    """Tiles of as many lines as fit into a height; one line at least."""
    edges, inner = [whole.top, *whole.breaks, whole.bottom], [ink[0], *whole.breaks, ink[1]]
    first = 0
    for last in range(1, len(edges)):
        full = last + 1 < len(edges) and inner[last + 1] - inner[first] > room
        if full or last == len(edges) - 1:
            breaks = whole.breaks[first : last - 1]
            yield replace(whole, top=edges[first], bottom=edges[last], breaks=breaks)
            first = last


def _by_columns(tile: Tile, inked: np.ndarray, room: float, space: float) -> Iterator[Tile]:
    """The tile where it is no wider than the room; else its lines, each cut between words where it is."""
    columns = np.flatnonzero(tile.of(inked).any(0))
    if not len(columns) or columns[-1] + 1 - columns[0] <= room:
        yield tile
        return
    edges = [tile.top, *tile.breaks, tile.bottom]
    for top, bottom in pairwise(edges):
        line = replace(tile, top=top, bottom=bottom, breaks=())
        columns = np.flatnonzero(line.of(inked).any(0))
        if not len(columns):
            continue
        gaps = [(int(a) + int(b) + 1) // 2 for a, b in pairwise(columns) if b - a > space]
        begin, start = line.left, int(columns[0])
        for gap, following in pairwise([*gaps, int(columns[-1]) + 1]):
            if following - start > room:
                yield replace(line, left=begin, right=gap)
                begin = start = gap
        yield replace(line, left=begin)
