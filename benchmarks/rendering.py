"""Wrapped text drawn as images: this renderer against loops that measure the growing line.

    python benchmarks/rendering.py [--texts DATA/text/wikitext103_valid.txt.xz] [--rounds 5]

Texts of a small and a large image of the published renderer (38 and 110 words; 20 and 13 px) in one font. The
loops add word after word to a line, measure it, begin a new line where it is too wide, and draw the lines.
`as published` is Pillow in colour and in its default layout; `grey` is Pillow in grey and in the layout that
this renderer uses, whose pages must be equal to the pixel; `skia` needs skia-python. `scaled` also crops the
page and scales it (Lanczos) to a square of 384 px, which costs all of them the same in grey. All ways
alternate; CPU time of one thread.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from showtell.data.images.render.draw import MARGIN, draw_page
from showtell.data.images.render.fonts import fonts
from showtell.data.images.render.style import LARGE, SMALL, SizeClass, Style
from showtell.data.images.render.words import face_of
from showtell.datasets.texts import training_documents
from table import command, table

try:
    import skia
except ImportError:
    skia = None

SIDE = 384
WORDS = {SMALL: 38, LARGE: 110}


class Loops:
    """The loops, for one style."""

    def __init__(self, style: Style) -> None:
        face = face_of(style.font, style.size)
        self.limit, self.ascent = style.wrap * face.letter, face.ascent
        self.pitch = face.ascent + face.descent
        self.same = face.basic
        self.usual = ImageFont.truetype(style.font.path, style.size) if style.font.path else face.basic
        self.skia = skia and skia.Font(skia.Typeface.MakeFromFile(style.font.path), style.size)

    def lines(self, text: str, length: Callable[[str], float]) -> list[str]:
        """The lines of a text, by measuring each as it grows."""
        lines = [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and length(longer) > self.limit:
                lines.append(word)
            else:
                lines[-1] = longer
        return lines

    def pillow(self, text: str, font: ImageFont.FreeTypeFont, mode: str) -> np.ndarray:
        """Measured and drawn by Pillow, black on white in colour, or white on black in grey."""
        lines = self.lines(text, font.getlength)
        ink, paper = ("black", "white") if mode == "RGB" else (255, 0)
        image = Image.new(mode, (round(self.limit) + 80, self.pitch * len(lines) + 80), paper)
        canvas = ImageDraw.Draw(image)
        for row, line in enumerate(lines):
            canvas.text((40, 40 + self.ascent + row * self.pitch), line, ink, font, anchor="ls")
        return np.asarray(image)

    def by_skia(self, text: str) -> np.ndarray:
        """Measured and drawn by skia, white on black."""
        lines = self.lines(text, self.skia.measureText)
        ink = np.zeros((self.pitch * len(lines) + 80, round(self.limit) + 80), np.uint8)
        paint = skia.Paint(AntiAlias=True)
        with skia.Surface(ink, colorType=skia.kAlpha_8_ColorType) as canvas:
            for row, line in enumerate(lines):
                canvas.drawString(line, 40, 40 + self.ascent + row * self.pitch, self.skia, paint)
        return ink


def cropped(page: np.ndarray) -> np.ndarray:
    """A page cropped to its ink with a margin."""
    ink = page if page.ndim == 2 else 255 - page[..., 0]
    rows, columns = ink.any(1).nonzero()[0], ink.any(0).nonzero()[0]
    top, left = rows[0] - MARGIN, columns[0] - MARGIN
    return page[top : rows[-1] + 1 + MARGIN, left : columns[-1] + 1 + MARGIN]


def scaled(page: np.ndarray) -> np.ndarray:
    """A cropped page scaled to the top left of a white square."""
    scale = min(SIDE / page.shape[0], SIDE / page.shape[1])
    height, width = (min(round(n * scale), SIDE) for n in page.shape[:2])
    small = np.asarray(Image.fromarray(page).resize((width, height), Image.Resampling.LANCZOS))
    pixels = np.full((SIDE, SIDE, *page.shape[2:]), 255, np.uint8)
    pixels[:height, :width] = small if page.ndim == 3 else ~small
    return pixels


def texts_of(path: Path | None, count: int, length: int) -> list[str]:
    """Texts of so many words: from a file, or from this script."""
    source = [Path(__file__).read_text()] if path is None else training_documents(path)
    words = [word for document in source for word in document.split() if word.isascii()]
    starts = np.random.default_rng(0).integers(0, len(words) - length, count)
    return [" ".join(words[start : start + length]) for start in starts]


def measure(size: SizeClass, options: argparse.Namespace) -> list[list[object]]:
    """The rows of one size of text."""
    font = next((f for f in fonts() if f.name == "DejaVu Sans Book"), fonts()[-1])
    style = Style(font, size.size, sum(size.wrap) // 2)
    texts, loops = texts_of(options.texts, options.count, WORDS[size]), Loops(style)
    pages: dict[str, Callable[[str], np.ndarray]] = {
        "Pillow, as published": lambda text: loops.pillow(text, loops.usual, "RGB"),
        "Pillow, grey": lambda text: loops.pillow(text, loops.same, "L"),
        "ours": lambda text: draw_page(text, style).ink,
    }
    if skia is not None:
        pages["skia"] = loops.by_skia
    grey = pages["Pillow, grey"]
    equal = sum(np.array_equal(cropped(grey(text)), draw_page(text, style).ink) for text in texts)
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in pages}
    for _ in range(options.rounds):
        for name, way in pages.items():
            started = time.process_time()
            drawn = [way(text) for text in texts]
            times[name][0].append((time.process_time() - started) / len(texts))
            started = time.process_time()
            for page in drawn:
                scaled(page if name == "ours" else cropped(page))
            times[name][1].append(times[name][0][-1] + (time.process_time() - started) / len(texts))
    medians = {name: [1000 * statistics.median(of) for of in values] for name, values in times.items()}
    ours = medians["ours"]
    return [
        [
            size.name,
            name,
            f"{page:.2f}",
            f"{page / ours[0]:.1f}",
            f"{whole:.2f}",
            f"{whole / ours[1]:.1f}",
            f"{equal} of {len(texts)}" if name == "Pillow, grey" else "",
        ]
        for name, (page, whole) in medians.items()
    ]


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rows = [row for size in WORDS for row in measure(size, options)]
    command()
    table(
        ["text", "by", "ms per page", "ours is faster", "ms scaled", "ours is faster", "equal to ours"], rows
    )


if __name__ == "__main__":
    main()
