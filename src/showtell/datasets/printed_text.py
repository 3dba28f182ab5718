"""The printed text of images: found, read, and kept between runs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from showtell.data.documents.text_line import TextLine
from showtell.data.images.decode import decode_image
from showtell.data.images.files import read_content
from showtell.data.images.quad import straighten
from showtell.hub.catalogue import package_path
from showtell.hub.ppocr import PPOCR
from showtell.progress import report
from showtell.tasks.ctc import ctc_greedy
from showtell.tasks.page_words import Page
from showtell.tasks.text_boxes import Boxes, reading_order, text_boxes
from showtell.writing import cache_folder, write_file

MODEL = "pp-ocrv4"
SHORTEST, LARGEST = 736, 3_000_000
"""An image whose shorter side has fewer pixels is enlarged, one of more pixels in all is shrunk, before text
is looked for; lines are then read at full size."""
ENLARGED = 4
"""At most so many times."""
TURNED = 0.5
"""The probability of standing on its head above which a line is read both ways; the surer reading counts.

Turned at once above 0.9, as PaddleOCR does, some upright lines in capitals are read upside down."""
SPACE = 0.03
"""The probability of a space above which one is written: at a half, most are dropped."""
ASCII = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
"""The full-width forms, which the recogniser also writes between Latin letters."""
CHINESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


class TextReader:
    """Finds and reads printed text, horizontal or rotated by any angle."""

    def __init__(self) -> None:
        """Raises `MissingError` with the line that installs the weights."""
        self._networks = PPOCR(package_path(MODEL))

    def __call__(self, pixels: UInt8[np.ndarray, "H W 3"]) -> list[TextLine]:
        """The lines of an image, in reading order."""
        return self.read(pixels, self.find(pixels))

    def find(self, pixels: UInt8[np.ndarray, "H W 3"]) -> Boxes:
        """The boxes of lines of text, in pixels of the image."""
        height, width = pixels.shape[:2]
        scale = min((LARGEST / (width * height)) ** 0.5, max(1, min(SHORTEST / min(width, height), ENLARGED)))
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        resized = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
        boxes = text_boxes(self._networks.text_probability(resized))
        return (boxes * (np.array([width, height]) / size)).clip(0, [width, height])

    def read(self, pixels: UInt8[np.ndarray, "H W 3"], boxes: Boxes) -> list[TextLine]:
        """The lines at `boxes`, in reading order; those that read as nothing are left out."""
        image = Image.fromarray(pixels)
        lines = [straighten(image, box) for box in boxes]
        found, boxes = self._texts(lines), boxes.copy()
        doubtful = np.flatnonzero(self._networks.upside_down(lines) > TURNED).tolist()
        turned = self._texts([lines[i].transpose(Image.Transpose.ROTATE_180) for i in doubtful])
        for i, other in zip(doubtful, turned, strict=True):
            if other[1] > found[i][1]:
                found[i], boxes[i] = other, np.roll(boxes[i], 2, axis=0)
        return [
            TextLine(found[i][0], round(found[i][1], 4), np.round(boxes[i], 1).tolist())
            for i in reading_order(boxes)
            if found[i][0].strip()
        ]

    def _texts(self, lines: list[Image.Image]) -> list[tuple[str, float]]:
        found = self._networks.read(lines)
        texts = [ctc_greedy(p, self._networks.characters, space=SPACE) for p in found]
        return [(t if CHINESE.search(t) else t.translate(ASCII), confidence) for t, confidence in texts]


MIN_CONFIDENCE = 0.5
"""Lines of documents that are read with less are left out."""


def page_of(lines: Sequence[TextLine]) -> Page:
    """Lines as a page."""
    boxes = np.array([line.box for line in lines], np.float64).reshape(-1, 4, 2)
    return Page([line.text for line in lines], boxes)


def read_lines(paths: Sequence[Path]) -> list[list[TextLine]]:
    """The lines of image files; each image is read once, ever.

    Raises `ImageError` for a file that cannot be read, `MissingError` without the weights.
    """
    found, reader = [], None
    for number, path in enumerate(paths, 1):
        data, _ = read_content(path)
        kept = cache_folder() / "text" / f"{hashlib.sha256(MODEL.encode() + data).hexdigest()}.json"
        if kept.is_file():
            lines = [TextLine(**line) for line in json.loads(kept.read_text("utf-8"))]
        else:
            reader = reader or TextReader()
            lines = reader(decode_image(data, path))
            write_file(kept, json.dumps([asdict(line) for line in lines], ensure_ascii=False).encode())
        found.append(lines)
        report("reading text", number, len(paths))
    return found


def read_pages(paths: Sequence[Path]) -> list[Page]:
    """The pages of image files, without lines that are hard to read. Raises as `read_lines`."""
    sure = ([line for line in lines if line.confidence >= MIN_CONFIDENCE] for lines in read_lines(paths))
    return [page_of(lines) for lines in sure]
