"""Lines of a text: broken between words, each word with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from showtell.data.images.render.style import Style
from showtell.data.images.render.words import MASK, Direction, Face, Word, direction_of

_UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0eff\u0f00-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Characters of scripts without spaces, after each of which a line may end."""
_MARKS = (
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ecd\u0f71-\u0f84\u102b-\u103e\u17b4-\u17d3"
)
_CLOSING, _OPENING = r"、。，．！？：；）】》」』〉”’…,.!?:;)\]", "（【《「『〈“‘"
_SPACES = r"(?P<breaks>\s*\n\s*)|\s+"
_CHARACTER = rf"[{_OPENING}]*[{_UNSPACED}][{_MARKS}]*[{_CLOSING}]*"
_MASK = re.escape(MASK)
_WORD = re.compile(rf"{_SPACES}|(?P<word>{_CHARACTER}|[^\s{_UNSPACED}]+)")
_WORD_OR_MASK = re.compile(rf"{_SPACES}|(?P<word>{_MASK}|{_CHARACTER}|(?:(?!{_MASK})[^\s{_UNSPACED}])+)")
"""The same with `[MASK]` apart, for a font that cannot draw it."""


class Placed(NamedTuple):
    """A word of a drawn text, and where it stands."""

    begin: int
    end: int
    """First and past-the-last character, in the text."""
    word: Word
    x: float
    """Where the word begins on the left, in pixels from the left of the block of lines."""
    y: int
    """Its baseline, in pixels from the first line's."""
    direction: Direction


class _Unit(NamedTuple):
    begin: int
    end: int
    word: Word
    gap: float
    """Before it, unless it begins a line."""
    breaks: int
    """Line breaks before it."""
    direction: Direction | None


def lay_out(text: str, style: Style, face: Face) -> list[Placed]:
    """Every word of a text with its place.

    A line is as wide as `style.wrap` average letters; a longer word is broken. A line break in the text
    breaks the line, and an empty line separates blocks. Words of a right-to-left script run from the right,
    also among others, after Unicode's bidirectional algorithm applied to whole words.
    """
    limit = style.wrap * face.letter
    base = direction_of(text) or "ltr"
    pitch = round((face.ascent + face.descent) * style.spacing)
    lines: list[tuple[int, list[_Unit]]] = []
    width, row = 0.0, 0
    for unit in _units(text, face, limit):
        advance = unit.word.advance
        if not lines or unit.breaks or width + unit.gap + advance > limit:
            row += max(unit.breaks, 1) if lines else 0
            lines.append((row, []))
            width = -unit.gap
        lines[-1][1].append(unit)
        width += unit.gap + advance
    placed = [(row * pitch, *_ordered(units, base, face.space)) for row, units in lines]
    widest = max((width for _, width, _ in placed), default=0)
    share = {"left": 0.0, "right": 1.0}.get(style.align, 0.5)
    return [
        Placed(
            unit.begin, unit.end, unit.word, round(share * (widest - width)) + x, y, unit.direction or base
        )
        for y, width, units in placed
        for unit, x in units
    ]


def _units(text: str, face: Face, limit: float) -> Iterator[_Unit]:
    """The words of a text, and its characters where words have no spaces; too long ones in parts."""
    breaks, gap = 0, 0.0
    for found in (_WORD if face.has_mask else _WORD_OR_MASK).finditer(text):
        if found["breaks"]:
            breaks = min(found["breaks"].count("\n"), 2)
        elif found["word"] is None:
            gap = face.space
        else:
            begin, end = found.span()
            while begin < end:
                direction = direction_of(text[begin:end])
                stop = end
                word = face.word(text[begin:end], direction or "ltr")
                if word.advance > limit and end - begin > 1:
                    stop = begin + _fitting(text[begin:end], face, limit)
                    word = face.word(text[begin:stop], direction or "ltr")
                yield _Unit(begin, stop, word, gap, breaks, direction)
                begin, breaks, gap = stop, 0, 0.0


def _fitting(word: str, face: Face, limit: float) -> int:
    """How many first characters of a word fit into a line, at least one."""
    low, high = 1, len(word)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if face.length(word[:middle]) <= limit else (low, middle - 1)
    return low


def _ordered(
    units: Sequence[_Unit], base: Direction, space: float
) -> tuple[float, list[tuple[_Unit, float]]]:
    """The width of a line, and its words with where each begins, from the left."""
    order = _visual([unit.direction for unit in units], base)
    placed, x, last = [], 0.0, None
    for index in order:
        if last is not None:
            x += units[max(index, last)].gap if abs(index - last) == 1 else space
        placed.append((units[index], x))
        x += units[index].word.advance
        last = index
    return x, placed


def _visual(directions: Sequence[Direction | None], base: Direction) -> list[int]:
    """Indices of words from left to right.

    >>> _visual(["ltr", "rtl", None, "rtl", "ltr"], "ltr"), _visual(["rtl", "ltr", "ltr"], "rtl")
    ([0, 3, 2, 1, 4], [1, 2, 0])
    """
    if base == "ltr" and "rtl" not in directions:
        return list(range(len(directions)))
    runs: list[list[int]] = []
    other: Direction = "ltr" if base == "rtl" else "rtl"
    neutral: list[int] = []
    for index, direction in enumerate(directions):
        if direction is None:
            neutral.append(index)
            continue
        inside = direction == other and bool(runs) and directions[runs[-1][0]] == other
        if inside:  # what has no direction, between two words against the base, goes with them
            runs[-1] += [*neutral, index]
        else:
            runs += [[one] for one in [*neutral, index]]
        neutral = []
    runs += [[one] for one in neutral]
    if base == "rtl":
        runs.reverse()
        return [index for run in runs for index in run]
    return [index for run in runs for index in reversed(run)]
