"""Text drawn as an image, with masked tokens drawn as `[MASK]`, and where each token lies."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from showtell.data.images.render.layout import Placed, lay_out
from showtell.data.images.render.style import Style
from showtell.data.images.render.words import MASK, Face, face, needs_shaping

MARGIN = 10
"""Pixels of background around the text, before the drawing is scaled."""
Span = tuple[int, int]
"""The first and the past-the-last character of a token."""


@dataclass(frozen=True)
class Drawing:
    """A text as an image."""

    pixels: UInt8[np.ndarray, "H W"]
    """Grey."""
    boxes: Float[np.ndarray, "T 4"]
    """`float32`: left, top, right and bottom of each token, in pixels; all NaN for one without letters."""
    text: str
    """What is drawn: masked tokens are `[MASK]`."""
    scale: float
    """By how much the text was shrunk (below 1) or enlarged to fit its canvas."""


def draw(
    text: str,
    style: Style,
    side: int | tuple[int, int],
    tokens: Sequence[Span] = (),
    masked: Collection[int] = (),
) -> Drawing:
    """A text on a square canvas of `side` pixels, or on one of `(height, width)`.

    The text is cropped with a margin of 10 pixels and scaled (Lanczos) as large as fits; `style.align` says
    where it lies in what is left of the canvas. The published renderer stretches the crop to a square
    instead, which leaves no room for an alignment. `tokens` are character spans in ascending order, and
    `masked` the indices of those that are drawn as `[MASK]`: one for tokens that share a character.

    >>> from showtell.data.images.render.fonts import Font
    >>> drawing = draw("a dog", Style(Font("Aileron Regular", "")), (32, 96), [(0, 1), (2, 5)], {1})
    >>> drawing.pixels.shape, drawing.boxes.shape, drawing.text
    ((32, 96), (2, 4), 'a [MASK]')

    Raises `ValueError` for a text without letters.
    """
    drawn, spans = masked_text(text, tokens, masked)
    using = face(style.font, style.size)
    placed = lay_out(drawn, style, using)
    inked = [one for one in placed if one.word.bitmap.size]
    if not inked:
        raise ValueError(f"{text!r} has nothing to draw")
    page, left, top = _page(inked)
    pixels, scale, x, y = _fitted(page, style, (side, side) if isinstance(side, int) else side)
    boxes = _boxes(drawn, spans, placed, using)
    boxes = (boxes - np.array([left, top] * 2, np.float32)) * np.float32(scale)
    boxes += np.array([x, y] * 2, np.float32)
    limits = np.array(pixels.shape[::-1] * 2, np.float32)
    return Drawing(pixels, np.clip(boxes, 0, limits), drawn, scale)


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


def _page(inked: Sequence[Placed]) -> tuple[np.ndarray, int, int]:
    """The ink of all words `uint8 [h w]` with its margin, and where that page begins on the left and top."""
    places = [(round(one.x) + one.word.left, one.y + one.word.top, one.word.bitmap) for one in inked]
    left, top = min(x for x, _, _ in places) - MARGIN, min(y for _, y, _ in places) - MARGIN
    right = max(x + bitmap.shape[1] for x, _, bitmap in places) + MARGIN
    bottom = max(y + bitmap.shape[0] for _, y, bitmap in places) + MARGIN
    page = np.zeros((bottom - top, right - left), np.uint8)
    for x, y, bitmap in places:
        here = page[y - top : y - top + bitmap.shape[0], x - left : x - left + bitmap.shape[1]]
        np.maximum(here, bitmap, out=here)
    return page, left, top


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


def _boxes(text: str, spans: Sequence[Span], placed: Sequence[Placed], using: Face) -> np.ndarray:
    """`float32 [T 4]`: left, top, right and bottom of what is drawn of each span; NaN without letters."""
    words = sorted(placed, key=lambda one: one.begin)
    ends = [one.end for one in words]
    boxes = np.full((len(spans), 4), np.nan, np.float32)
    for row, (begin, end) in enumerate(spans):
        parts = []
        for one in words[bisect_right(ends, begin) :]:
            if one.begin >= end:
                break
            if begin < end:
                parts.append(_part(text, one, max(begin, one.begin), min(end, one.end), using))
        if parts:
            lefts, tops, rights, bottoms = zip(*parts, strict=True)
            boxes[row] = min(lefts), min(tops), max(rights), max(bottoms)
    return boxes


def _part(text: str, one: Placed, begin: int, end: int, using: Face) -> tuple[float, float, float, float]:
    """The box of some characters of a word, as tall as its line."""
    whole = one.word.advance
    before = using.length(text[one.begin : begin]) if begin > one.begin else 0.0
    after = using.length(text[one.begin : end]) if end < one.end else whole
    if one.direction == "rtl" and needs_shaping(text[one.begin : one.end]):
        before, after = whole - after, whole - before
    return one.x + before, one.y - using.ascent, one.x + after, one.y + using.descent
