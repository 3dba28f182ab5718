"""Lines of a text: broken between words, each word with its place."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from showtell.data.images.render.style import Style
from showtell.data.images.render.words import MASK, Direction, Face, Word, direction_of, draw_word

UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0eff\u0f00-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Characters of scripts without spaces, after each of which a line may end."""
_MARKS = (
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ecd\u0f71-\u0f84\u102b-\u103e\u17b4-\u17d3"
)
_CLOSING, _OPENING = r"、。，．！？：；）】》」』〉”’…,.!?:;)\]", "（【《「『〈“‘"
_CHARACTER = rf"[{_OPENING}]*[{UNSPACED}][{_MARKS}]*[{_CLOSING}]*"
_MASK = re.escape(MASK)
_WORD = re.compile(rf"(\s*)({_CHARACTER}|[^\s{UNSPACED}]+)")
_WORD_OR_MASK = re.compile(rf"(\s*)({_MASK}|{_CHARACTER}|(?:(?!{_MASK})[^\s{UNSPACED}])+)")
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


_Word = tuple[int, int, Word, float]
"""First and past-the-last character, the word, and the space before it."""


def lay_out(text: str, style: Style, face: Face) -> list[Placed]:
    """Every word of a text with its place.

    A line is as wide as `style.wrap` average letters; a longer word is broken. A line break in the text
    breaks the line, and an empty line separates blocks. Words of a right-to-left script run from the right,
    also among others, after Unicode's bidirectional algorithm applied to whole words.
    """
    limit, row, width = style.wrap * face.letter, 0, 0.0
    lines: list[tuple[int, float, list[_Word]]] = []
    line: list[_Word] = []
    for found in (_WORD if face.has_mask else _WORD_OR_MASK).finditer(text):
        spaces, letters = found.groups()
        begin, gap = found.start(2), face.space if spaces else 0.0
        breaks = min(spaces.count("\n"), 2)
        whole = draw_word(face, letters)
        for word in (whole,) if whole.advance <= limit else _broken(letters, limit, face):
            if line and (breaks or width + gap + word.advance > limit):
                lines.append((row, width, line))
                row, width, line = row + max(breaks, 1), 0.0, []
            if not line:
                gap = 0.0
            end = begin + len(word.edges) - 1
            line.append((begin, end, word, gap))
            width += gap + word.advance
            begin, gap, breaks = end, 0.0, 0
    lines.append((row, width, line))
    base = direction_of(text) or "ltr"
    pitch = round((face.ascent + face.descent) * style.spacing)
    widest = max([width for _, width, _ in lines])
    share = {"left": 0.0, "right": 1.0}.get(style.align, 0.5)
    turns = base == "rtl" or (
        not text.isascii() and any(w[2].direction == "rtl" for _, _, s in lines for w in s)
    )
    placed: list[Placed] = []
    for row, width, line in lines:
        x, y = float(round(share * (widest - width))), row * pitch
        if turns:
            placed += _ordered(line, base, x, y, face.space)
            continue
        for begin, end, word, gap in line:
            x += gap
            placed.append(Placed(begin, end, word, x, y))
            x += word.advance
    return placed


def _broken(letters: str, limit: float, face: Face) -> Iterator[Word]:
    """A word in parts that fit into a line; at least a letter each."""
    while letters:
        word = draw_word(face, letters)
        if word.advance > limit and len(letters) > 1:
            word = draw_word(face, letters[: max(1, bisect_right(word.edges, limit) - 1)])
        yield word
        letters = letters[len(word.edges) - 1 :]


def _ordered(line: Sequence[_Word], base: Direction, x: float, y: int, space: float) -> Iterator[Placed]:
    """The words of a line from left to right."""
    last = -1
    for index in _visual([word.direction for _, _, word, _ in line], base):
        begin, end, word, gap = line[index]
        if index != last + 1:  # against the reading direction, or at its turn
            gap = 0.0 if last < 0 else line[last][3] if last == index + 1 else space
        x += gap
        yield Placed(begin, end, word, x, y)
        x += word.advance
        last = index


def _visual(directions: Sequence[Direction | None], base: Direction) -> list[int]:
    """Indices of words from left to right.

    >>> _visual(["ltr", "rtl", None, "rtl", "ltr"], "ltr"), _visual(["rtl", "ltr", "ltr"], "rtl")
    ([0, 3, 2, 1, 4], [1, 2, 0])
    """
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
