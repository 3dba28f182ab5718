"""Maps of words and images as one PNG, for slides and papers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

SIZE = 1600, 1200
MARGIN = 80
INK, DOT, PAPER = "#1d2733", "#b9c2cc", "#ffffff"
LARGE, SMALL = 112, 36  # longer side of a thumbnail, pixels
WIDE_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "wqy-microhei.ttc",
    "PingFang.ttc",
    "msyh.ttc",
    "Arial Unicode.ttf",
    "DejaVuSans.ttf",
)
"""Fonts on Linux, macOS and Windows for scripts that Pillow's own font lacks."""

Box = tuple[float, float, float, float]


def draw_words(words: Sequence[str], points: np.ndarray) -> bytes:
    """PNG of words at `points [N 2]`, 0 to 1; a word that would overlap an earlier one becomes a dot."""
    canvas = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(canvas)
    taken: list[Box] = []
    labels = []
    for place, (word, (x, y)) in enumerate(zip(words, _pixels(points), strict=True)):
        font = font_for(word, round(38 - 20 * (place / max(len(words) - 1, 1)) ** 0.5))
        box = draw.textbbox((x, y), word, font=font, anchor="mm") if font else None
        if box and _claim(box, taken):
            labels.append((x, y, word, font))
        else:
            draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=DOT)
    for x, y, word, font in labels:
        draw.text((x, y), word, INK, font, anchor="mm")
    return png(canvas)


def draw_images(thumbnails: Sequence[bytes], points: np.ndarray) -> bytes:
    """PNG of JPEG thumbnails at `points [N 2]`, 0 to 1; one that would overlap an earlier one is shrunk."""
    canvas = Image.new("RGB", SIZE, PAPER)
    taken: list[Box] = []
    large, small = [], []
    for data, (x, y) in zip(thumbnails, _pixels(points), strict=True):
        image = Image.open(io.BytesIO(data)).convert("RGB")
        image.thumbnail((LARGE, LARGE))
        w, h = image.size
        if _claim((x - w / 2, y - h / 2, x + w / 2, y + h / 2), taken):
            large.append((image, x, y))
        else:
            image.thumbnail((SMALL, SMALL))
            small.append((image, x, y))
    for image, x, y in large + small:
        framed = ImageOps.expand(image, 2, PAPER)
        canvas.paste(framed, (round(x - framed.width / 2), round(y - framed.height / 2)))
    return png(canvas)


def _pixels(points: np.ndarray) -> list[list[float]]:
    return (MARGIN + np.reshape(points, (-1, 2)) * (np.array(SIZE) - 2 * MARGIN)).tolist()


def _claim(box: Box, taken: list[Box]) -> bool:
    """Whether a box overlaps none of those taken; then it is taken too."""
    left, top, right, bottom = box
    if any(left < b[2] and b[0] < right and top < b[3] and b[1] < bottom for b in taken):
        return False
    taken.append(box)
    return True


def font_for(text: str, size: int) -> ImageFont.FreeTypeFont | None:
    """The first font that has every character of the text, or None."""
    for name in (None, *WIDE_FONTS):
        font = _font(name, size)
        if font and all(_has(name, sign) for sign in text):
            return font
    return None


@lru_cache(maxsize=256)
def _font(name: str | None, size: int) -> ImageFont.FreeTypeFont | None:
    try:
        font = ImageFont.truetype(name, size) if name else ImageFont.load_default(size)
    except OSError:
        return None
    return font if isinstance(font, ImageFont.FreeTypeFont) else None


@lru_cache(maxsize=4096)
def _has(name: str | None, sign: str) -> bool:
    font = _font(name, 24)
    return font is not None and bytes(font.getmask(sign)) != bytes(font.getmask("\U0010ffff"))


def png(canvas: Image.Image) -> bytes:
    """An image as PNG."""
    out = io.BytesIO()
    canvas.save(out, "PNG")
    return out.getvalue()
