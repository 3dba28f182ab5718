"""A text drawn as images, with some of its words masked: what a model that reads pixels is given."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from showtell.data.images.render.draw import Drawing, Span, draw
from showtell.data.images.render.fonts import ENDINGS, Font, find_font, fonts, open_font, undrawable
from showtell.data.images.render.layout import UNSPACED
from showtell.data.images.render.style import SIZES, Align, SizeClass, Style
from showtell.data.tokenizers.wellformed import wellformed
from showtell.errors import UsageError, UserError
from showtell.wording import counted
from showtell.writing import write_file

logger = logging.getLogger(__name__)

_TOKEN = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+|[^\w\s]")


@dataclass(frozen=True)
class DrawnToken:
    """A word or sign of a text, and where it lies in the image."""

    text: str
    masked: bool
    """Whether `[MASK]` is drawn in its place."""
    box: tuple[float, ...] | None
    """Left, top, right and bottom, in pixels; None where nothing is drawn."""


@dataclass(frozen=True)
class DrawnText:
    """An image of a text."""

    path: Path
    text: str
    drawn: str
    """The same with `[MASK]` for masked tokens."""
    font: str
    size: float
    """Pixels per em, in the image."""
    align: Align
    inverted: bool
    tokens: list[DrawnToken]


def render(
    text: str,
    output: Path,
    *,
    font: str | None = None,
    size: str | None = None,
    align: Align | None = None,
    inverted: bool = False,
    mask: float = 0.0,
    seed: int = 0,
    side: int = 512,
    strict: bool = False,
) -> list[DrawnText]:
    """Draw a text to `output`, a PNG of `side` pixels; a text too long for one to several, `NAME-1.png` on.

    Words, signs, and characters of scripts without spaces are its tokens, each masked with the probability
    `mask`. `size` is `small`, `medium` or `large` (at most 50, 100 and 144 tokens), by default the first that
    holds the text. `font` is a name, a file or a folder. What is not given is sampled by `seed`.

    Raises `UserError` for a text that no font draws, or with `strict` one too long for an image; `UsageError`
    for an empty text, an unknown font or size, or another kind of file.

    Example::

        render("A dog runs.", Path("dog.png"), mask=0.15)
    """
    if output.suffix.lower() != ".png":
        raise UsageError(f"{output} is not a .png file; call it {output.with_suffix('.png')}")
    text = wellformed(text)
    tokens = [found.span() for found in _TOKEN.finditer(text)]
    if not tokens:
        raise UsageError("the text is empty; give one with letters")
    chosen = size_of(len(tokens), size)
    if strict and len(tokens) > chosen.tokens:
        raise UserError(
            f"the text has {len(tokens)} tokens, an image of the size {chosen.name} holds {chosen.tokens}; "
            "shorten it, or leave out --strict to draw several images"
        )
    generator = np.random.default_rng(seed)
    style = chosen.sample(text, _fonts_for(text, font), generator, float(inverted))
    style = replace(style, align=align or style.align)
    masked = generator.random(len(tokens)) < mask
    parts = list(_parts(tokens, chosen.tokens))
    if len(parts) > 1:
        logger.info("%s: %s in %s", output, counted(len(tokens), "token"), counted(len(parts), "image"))
    drawn = []
    for number, (first, last) in enumerate(parts, 1):
        begin, end = tokens[first][0], tokens[last - 1][1]
        spans = [(b - begin, e - begin) for b, e in tokens[first:last]]
        some = masked[first:last]
        drawing = draw(text[begin:end], style, side, spans, {*some.nonzero()[0].tolist()})
        path = output if len(parts) == 1 else output.with_name(f"{output.stem}-{number}{output.suffix}")
        write_file(path, _png(drawing.pixels))
        drawn.append(_told(path, text[begin:end], drawing, style, spans, some))
    return drawn


def size_of(tokens: int, name: str | None) -> SizeClass:
    """The size of a name, or the first that holds so many tokens, or the largest.

    >>> size_of(51, None).name, size_of(500, None).name, size_of(500, "small").name
    ('medium', 'large', 'small')

    Raises `UsageError` for an unknown name.
    """
    if name is None:
        return next((size for size in SIZES if tokens <= size.tokens), SIZES[-1])
    found = next((size for size in SIZES if size.name == name), None)
    if found is None:
        raise UsageError(f"there is no size {name!r}, only {', '.join(size.name for size in SIZES)}")
    return found


def _fonts_for(text: str, name: str | None) -> Sequence[Font]:
    """All fonts, or those of a folder, or one of them by its file or name.

    Raises `UserError` where none of them draws the text.
    """
    if name is None:
        found: Sequence[Font] = fonts()
    elif Path(name).is_dir():
        found = fonts(Path(name))
    elif Path(name).suffix.lower() in ENDINGS:
        found = open_font(Path(name))
    else:
        found = (find_font(name, fonts()),)
    if not any(one.covers(text) for one in found):
        raise UserError(undrawable(text, found))
    return found


def _parts(tokens: Sequence[Span], most: int) -> Iterator[tuple[int, int]]:
    """The first and past-the-last token of each image; whole words, where one fits."""
    first = 0
    while first < len(tokens):
        last = min(first + most, len(tokens))
        stop = last
        while stop < len(tokens) and stop > first + 1 and tokens[stop - 1][1] == tokens[stop][0]:
            stop -= 1
        last = stop if stop > first + most // 2 else last
        yield first, last
        first = last


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _told(
    path: Path, text: str, drawing: Drawing, style: Style, spans: Sequence[Span], masked: np.ndarray
) -> DrawnText:
    boxes = [None if np.isnan(box[0]) else tuple(round(float(n), 1) for n in box) for box in drawing.boxes]
    return DrawnText(
        path,
        text,
        drawing.text,
        style.font.name,
        round(style.size * drawing.scale, 1),
        style.align,
        style.inverted,
        [
            DrawnToken(text[begin:end], bool(hidden), box)
            for (begin, end), hidden, box in zip(spans, masked, boxes, strict=True)
        ],
    )
