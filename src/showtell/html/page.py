"""Maps of words and of images as one HTML file that needs no network, and as one image."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path

import numpy as np

from showtell.errors import UsageError
from showtell.html.drawing import draw_images, draw_words
from showtell.writing import write_file


@dataclass(frozen=True)
class ShownImage:
    """An image as a page shows it."""

    path: str
    thumbnail: bytes
    """JPEG."""
    caption: str = ""


@dataclass(frozen=True)
class WordMap:
    """Words at their places; the first are the most frequent, written larger and kept where room is short."""

    words: Sequence[str]
    points: np.ndarray
    """`[N 2]`, 0 to 1, the second axis downward."""


@dataclass(frozen=True)
class ImageMap:
    """Images at their places; the first are kept large where room is short."""

    images: Sequence[ShownImage]
    points: np.ndarray
    """`[N 2]`, 0 to 1, the second axis downward."""


def write_map(path: Path, content: WordMap | ImageMap, title: str) -> Path:
    """Write a map as one HTML file, and as a PNG beside it, whose path is returned.

    Raises `UsageError` when `path` does not end in `.html`, `UserError` when it cannot be written.
    """
    body = f"<header><h1>{escape(title)}</h1></header>\n<main>{map_figure(content, alone=True)}</main>"
    write_page(path, title, body, alone=True)
    png = path.with_suffix(".png")
    if isinstance(content, WordMap):
        write_file(png, draw_words(content.words, content.points))
    else:
        write_file(png, draw_images([p.thumbnail for p in content.images], content.points))
    return png


def write_page(path: Path, title: str, body: str, alone: bool = False) -> None:
    """Write `body` as one HTML file with everything inside; `alone`, as one map that fills the window.

    Raises `UsageError` when `path` does not end in `.html`, `UserError` when it cannot be written.
    """
    if path.suffix.lower() not in {".html", ".htm"}:
        raise UsageError(f"{path}: this is an HTML file; let its name end in .html")
    write_file(path, _document(title, body, alone))


def map_figure(content: WordMap | ImageMap, alone: bool = False) -> str:
    """A map to move and zoom in, with a search box; `alone` puts the keyboard in it at once."""
    if isinstance(content, WordMap):
        what, marks = "words", [_word_mark(w, i, len(content.words)) for i, w in enumerate(content.words)]
    else:
        what, marks = "images", [thumbnail(image) for image in content.images]
    focus = " autofocus" if alone else ""
    places = np.asarray(content.points, dtype=float).reshape(-1, 2).tolist()
    placed = "\n".join(
        f'<li style="--x:{x:.4f};--y:{y:.4f}">{mark}</li>' for mark, (x, y) in zip(marks, places, strict=True)
    )
    return (
        '<figure class="map-figure">\n<div class="tools">'
        f'<input type="search" placeholder="Find in {len(marks)} {what}" aria-label="Find {what} in the map">'
        '<output></output><span class="buttons">'
        '<button data-zoom="1.5" aria-label="Zoom in">+</button>'
        '<button data-zoom="0.6667" aria-label="Zoom out">−</button>'
        '<button data-zoom="0" aria-label="Show the whole map">⤢</button></span></div>\n'
        f'<div class="map" tabindex="0" role="group" aria-label="Map of {what}"{focus}>'
        f'<ul class="plane {what}">\n{placed}\n</ul></div>\n'
        "<figcaption>Near means alike. Drag to move; click, then scroll, pinch or press + and − to zoom, "
        "arrows to move, 0 to see all.</figcaption>\n</figure>"
    )


def thumbnail(image: ShownImage) -> str:
    """An image as a button that shows it larger with its caption and path."""
    caption, path = escape(image.caption), escape(image.path)
    data = base64.b64encode(image.thumbnail).decode()
    return (
        f'<button class="thumbnail" title="{caption or path}" data-path="{path}" data-caption="{caption}">'
        f'<img alt="{caption or path}" src="data:image/jpeg;base64,{data}"></button>'
    )


def _word_mark(word: str, place: int, count: int) -> str:
    size = 1.5 - 0.75 * (place / max(count - 1, 1)) ** 0.5
    return f'<span style="--size:{size:.2f}rem" title="{escape(word)}">{escape(word)}</span>'


def _document(title: str, body: str, alone: bool) -> bytes:
    """A whole HTML file around `body`, with style and script inside; nothing else may load or run."""
    parts = files("showtell.html")
    style, script = ((parts / name).read_text("utf-8") for name in ("page.css", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    html = (
        f'<!doctype html>\n<html lang="en" class="{"alone" if alone else "report"}">\n<head>\n'
        '<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n{body}\n"
        "<dialog><form method=dialog><button aria-label=Close autofocus>×</button></form>"
        "<img alt=''><p></p><code></code></dialog>\n"
        f"<script>{script}</script>\n</body>\n</html>\n"
    )
    # A file name that is not UTF-8 reaches Python as lone surrogates, which no page can hold.
    return html.encode("utf-8", "replace")
