"""Labels and values placed on a sheet: one function per layout.

Sizes are in letters: the width of a Chinese character is 1, and a line is `LINE` high.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

LINE, BETWEEN = 1.45, 0.55
"""The height of a line, and the blank after a field, in letters."""
HALF = 0.55
"""The width of a Latin letter or a digit."""
Pairs = Sequence[tuple[str, str]]
"""Labels with their values."""


@dataclass
class Sheet:
    """Texts and rules with their places."""

    width: float
    texts: list[tuple[float, float, float, str]] = field(default_factory=list)
    """Left, top, size and letters."""
    rules: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Lines from a point to a point."""
    height: float = 0.0
    """Down to what was placed last."""

    def block(self, x: float, y: float, text: str, width: float, size: float = 1.0) -> float:
        """Place a text in lines of at most a width; the place below it."""
        for line in wrapped(text, width / size):
            self.texts.append((x, y, size, line))
            y += LINE * size
        self.height = max(self.height, y)
        return y


def width_of(text: str) -> float:
    """The width of a text, in letters.

    >>> round(width_of("税号12"), 2)
    3.1
    """
    return sum(1.0 if unicodedata.east_asian_width(char) in "WF" else HALF for char in text)


def wrapped(text: str, width: float) -> list[str]:
    """A text in lines; a number or a word stays whole where a line can hold it.

    >>> wrapped("中山路128号", 4)
    ['中山路', '128号']
    """
    lines, line = list[str](), ""
    for piece in _pieces(text):
        while width_of(line + piece) > width:
            if line:
                lines, line = [*lines, line], ""
            if width_of(piece) > width:
                count = next(n for n in range(len(piece), 0, -1) if n == 1 or width_of(piece[:n]) <= width)
                lines, piece = [*lines, piece[:count]], piece[count:]
        line += piece
    return [*lines, line] if line else lines


def _pieces(text: str) -> Iterable[str]:
    word = ""
    for char in text:
        if char.isascii() and char.isalnum():
            word += char
            continue
        if word:
            yield word
        word = ""
        yield char
    if word:
        yield word


def columns(pairs: Pairs, sheet: Sheet, y: float) -> None:
    """Labels in one column, values in another."""
    indent = max(width_of(label) for label, _ in pairs) + 1.5
    for label, value in pairs:
        sheet.block(0, y, label, indent)
        y = sheet.block(indent, y, value, sheet.width - indent) + BETWEEN


def inline(pairs: Pairs, sheet: Sheet, y: float) -> None:
    """A value directly after its label and a colon, further lines below its first."""
    for label, value in pairs:
        label = label if label.endswith("：") else f"{label}："
        indent = width_of(label)
        first, *later = wrapped(value, sheet.width - indent)
        y = sheet.block(0, y, label + first, sheet.width + 1)
        y = sheet.block(indent, y, "".join(later), sheet.width - indent) + BETWEEN


def stacked(pairs: Pairs, sheet: Sheet, y: float) -> None:
    """A value below its label, which is smaller."""
    for label, value in pairs:
        y = sheet.block(0, y, label, sheet.width, 0.85)
        y = sheet.block(0.8, y, value, sheet.width - 0.8) + BETWEEN


def pairs(pairs: Pairs, sheet: Sheet, y: float) -> None:
    """Two short fields in a row, and a long one in a row of its own."""
    half, left, below = sheet.width / 2, True, y
    for label, value in pairs:
        indent = width_of(label) + 1.2
        short = indent + width_of(value) <= half - 1
        if not short and not left:
            left, y = True, below
        x = 0 if left else half
        sheet.block(x, y, label, indent)
        end = sheet.block(x + indent, y, value, (half - 1 if short else sheet.width) - indent) + BETWEEN
        below = end if left else max(below, end)
        left = not (short and left)
        y = below if left else y


def table(pairs: Pairs, sheet: Sheet, y: float) -> None:
    """A ruled table of two columns."""
    indent = max(width_of(label) for label, _ in pairs) + 1.2
    top = y
    for label, value in pairs:
        sheet.rules.append((0, y, sheet.width, y))
        sheet.block(0.6, y + 0.4, label, indent)
        y = sheet.block(indent + 0.6, y + 0.4, value, sheet.width - indent - 1.2) + 0.25
    sheet.rules += [(0, y, sheet.width, y), *((x, top, x, y) for x in (0, indent, sheet.width))]
    sheet.height = max(sheet.height, y)


PLACE: Mapping[str, Callable[[Pairs, Sheet, float], None]] = {
    each.__name__: each for each in (columns, inline, stacked, pairs, table)
}
"""The layouts by name."""
