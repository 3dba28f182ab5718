"""Text drawn as an image, with masked tokens drawn as `[MASK]`, and where each token lies."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from showtell.data.images.render.layout import Placed, lay_out
from showtell.data.images.render.style import Style
from showtell.data.images.render.words import MASK, Face, face_of, overlaid

MARGIN = 10
"""Pixels of background around the text, before the drawing is scaled."""
Span = tuple[int, int]
"""The first and the past-the-last character of a token."""
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Drawing:
    """A text as an image."""

    pixels: UInt8[np.ndarray, "H W"]
    """Grey."""
    boxes: Float[np.ndarray, "T 4"]
    """`float32`: left, top, right and bottom of each token, in pixels; all NaN for one without letters."""
    text: str
    """What is drawn: masked tokens are `[MASK]`."""
    letters: Float[np.ndarray, "C 4"]
    """The box of each character of `text`, as `boxes`; none unless they were asked for."""
    scale: float
    """By how much the text was shrunk (below 1) or enlarged to fit its canvas."""


def draw(
    text: str,
    style: Style,
    side: int | tuple[int, int] | None,
    tokens: Sequence[Span] = (),
    masked: Collection[int] = (),
    *,
    letters: bool = False,
) -> Drawing:
    """A text on a square canvas of `side` pixels, on one of `(height, width)`, or None: as large as it is.

    The text is cropped with a margin of 10 pixels and scaled (Lanczos) as large as fits; `style.align` says
    where it lies in what is left of the canvas. The published renderer stretches the crop to a square
    instead, which leaves no room for an alignment. `tokens` are character spans in ascending order, and
    `masked` the indices of those that are drawn as `[MASK]`: one for tokens that share a character.
    `letters` asks for the boxes of all characters, too.

    >>> from showtell.data.images.render.fonts import Font
    >>> drawing = draw("a dog", Style(Font("Aileron Regular", "")), (32, 96), [(0, 1), (2, 5)], {1})
    >>> drawing.pixels.shape, drawing.boxes.shape, drawing.text
    ((32, 96), (2, 4), 'a [MASK]')

    Raises `ValueError` for a text without letters.
    """
    drawn, spans = masked_text(text, tokens, masked)
    page = draw_page(drawn, style)
    canvas = (side, side) if isinstance(side, int) else side or (page.ink.shape[0], page.ink.shape[1])
    pixels, scale, x, y = _fitted(page.ink, style, canvas)
    each = [(place, place + 1) for place in range(len(drawn) if letters else 0)]
    boxes = _boxes([*spans, *each], page.words, face_of(style.font, style.size))
    boxes = (boxes - np.array([page.left, page.top] * 2, np.float32)) * np.float32(scale)
    boxes += np.array([x, y] * 2, np.float32)
    boxes = np.clip(boxes, 0, np.array(pixels.shape[::-1] * 2, np.float32))
    return Drawing(pixels, boxes[: len(spans)], drawn, boxes[len(spans) :], scale)


class Page(NamedTuple):
    """A text at the size of its style, before it is scaled."""

    ink: np.ndarray
    """`uint8 [h w]`: 255 where there is ink, 0 on the background."""
    left: int
    top: int
    """Where the page begins, in pixels from the left of the lines and from the first baseline."""
    words: list[Placed]


def draw_page(text: str, style: Style) -> Page:
    """A text with its margin. Raises `ValueError` for one without letters."""
    words = lay_out(text, style, face_of(style.font, style.size))
    parts = [(one.word.bitmap, int(one.x + 0.5) + one.word.left, one.y + one.word.top) for one in words]
    ink, left, top = overlaid(parts, MARGIN)
    if not ink.size:
        raise ValueError(f"{text!r} has nothing to draw")
    return Page(ink, left, top, words)


def masked_text(text: str, tokens: Sequence[Span], masked: Collection[int]) -> tuple[str, list[Span]]:
    """The text with masked tokens as `[MASK]`, and the spans of all tokens in it.

    >>> masked_text("a giraffe", [(0, 1), (2, 4), (4, 7), (7, 9)], {2})
    ('a gi[MASK]fe', [(0, 1), (2, 4), (4, 10), (10, 12)])
    """
    if not masked:
        return text, list(tokens)
    pieces: list[str] = []
    spans: list[Span] = []
    done = length = 0
    for begin, end, members in _apart(text, tokens):
        pieces.append(text[done:begin])
        length += begin - done
        hidden = any(index in masked for index in members) and begin < end
        shown = MASK if hidden else text[begin:end]
        for index in members:
            first, last = tokens[index]
            inside = (0, len(MASK)) if hidden else (max(first - begin, 0), last - begin)
            spans.append((length + inside[0], length + inside[1]))
        pieces.append(shown)
        length, done = length + len(shown), end
    return "".join([*pieces, text[done:]]), spans


def _apart(text: str, tokens: Sequence[Span]) -> Iterator[tuple[int, int, list[int]]]:
    """The characters of each token without the spaces before them; tokens that share some together."""
    members: list[int] = []
    start = stop = 0
    for index, (begin, end) in enumerate(tokens):
        if members and begin >= stop:
            yield start, stop, members
            members = []
        if not members:
            start = begin + len(text[begin:end]) - len(text[begin:end].lstrip())
            stop = start
        members.append(index)
        stop = max(stop, end)
    if members:
        yield start, stop, members


def _fitted(page: np.ndarray, style: Style, canvas: tuple[int, int]) -> tuple[np.ndarray, float, int, int]:
    """The page in its colours on the canvas, the scale, and where it begins on the left and top."""
    scale = min(canvas[0] / page.shape[0], canvas[1] / page.shape[1])
    height, width = (max(1, min(round(n * scale), most)) for n, most in zip(page.shape, canvas, strict=True))
    if (height, width) != page.shape:
        page = np.asarray(Image.fromarray(page).resize((width, height), Image.Resampling.LANCZOS))
    across = {"left": 0.0, "right": 1.0}.get(style.align, 0.5)
    down = {"centre": 0.5, "down": 1.0}.get(style.align, 0.0)
    x, y = round(across * (canvas[1] - width)), round(down * (canvas[0] - height))
    pixels = np.zeros(canvas, np.uint8)
    pixels[y : y + height, x : x + width] = page
    return pixels if style.inverted else ~pixels, scale, x, y


def _boxes(spans: Sequence[Span], placed: Sequence[Placed], using: Face) -> np.ndarray:
    """`float32 [T 4]`: left, top, right and bottom of what is drawn of each span; NaN without letters."""
    words = sorted(placed, key=lambda one: one.begin)
    ends = [one.end for one in words]
    boxes = []
    for begin, end in spans:
        parts = []
        for one in words[bisect_right(ends, begin) :]:
            if one.begin >= end:
                break
            parts.append(_part(one, max(begin, one.begin), min(end, one.end), using))
        first = parts[0] if begin < end and parts else (np.nan,) * 4
        boxes.append(first if len(parts) < 2 else _around(parts))
    return np.array(boxes, np.float32).reshape(-1, 4)


def _part(one: Placed, begin: int, end: int, using: Face) -> Box:
    """The box of some characters of a word, as tall as its line."""
    before, after = one.word.edges[begin - one.begin], one.word.edges[end - one.begin]
    if one.word.direction == "rtl":
        before, after = one.word.advance - after, one.word.advance - before
    return one.x + before, one.y - using.ascent, one.x + after, one.y + using.descent


def _around(boxes: Sequence[Box]) -> Box:
    """The smallest box around others."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)
