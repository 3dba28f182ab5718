"""Printed text in image files: its lines in reading order, each with its place and its confidence."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from showtell.data.images.decode import MAX_PIXELS, load_image
from showtell.datasets.printed_text import LARGEST, MODEL, TextLine, TextReader
from showtell.hub.catalogue import find
from showtell.pipelines.image_files import ImageFiles, Skip, read_files

logger = logging.getLogger(__name__)


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
