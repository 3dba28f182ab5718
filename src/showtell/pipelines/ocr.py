"""Printed text in image files: its lines in reading order, each with its place and its confidence."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from showtell.data.images.decode import MAX_PIXELS, load_image
from showtell.data.images.quad import straighten
from showtell.hub.catalogue import find, package_path
from showtell.hub.ppocr import PPOCR
from showtell.pipelines.image_files import ImageFiles, Skip, read_files
from showtell.tasks.ctc import ctc_greedy
from showtell.tasks.text_boxes import Boxes, reading_order, text_boxes

logger = logging.getLogger(__name__)

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


@dataclass(frozen=True)
class TextLine:
    """A line of text in an image."""

    text: str
    confidence: float
    """Mean probability of its characters, 0 to 1."""
    box: list[list[float]]
    """Four corners `[x, y]` in pixels of the upright image, clockwise from the top left of the text."""


@dataclass(frozen=True)
class TextRead:
    """The text of an image file."""

    path: str
    width: int
    height: int
    """Of the upright image, in pixels."""
    lines: list[TextLine]
    """In reading order."""
    unsure: int
    """Lines that were left out since their confidence is below the limit."""
    model: str


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


def ocr(
    images: ImageFiles,
    *,
    min_confidence: float = 0.5,
    max_pixels: int = MAX_PIXELS,
    skip: Skip | None = None,
) -> Iterator[TextRead]:
    """The printed text of image files and folders of them, in the order given.

    A line whose confidence is below `min_confidence` is left out and counted. A file that cannot be read is
    passed to `skip`; without `skip` it raises `ImageError`.

    Raises `MissingError` with the line that installs the weights where they are not here.

    Example::

        for image in showtell.ocr("receipts/"):
            print([line.text for line in image.lines])
    """
    reader = TextReader()
    package = find(MODEL)
    assert package is not None
    for path, pixels in read_files(images, lambda path: load_image(path, max_pixels), skip):
        height, width = pixels.shape[:2]
        if width * height > 4 * LARGEST:
            shrunk = (width * height / LARGEST) ** 0.5
            logger.warning("%s is large: text lower than %d pixels is not found", path, round(8 * shrunk))
        lines = reader(pixels)
        sure = [line for line in lines if line.confidence >= min_confidence]
        yield TextRead(str(path), width, height, sure, len(lines) - len(sure), MODEL)
