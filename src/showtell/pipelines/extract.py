"""Documents in images and PDFs as JSON that keeps a schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from showtell.data.images.decode import MAX_PIXELS, ImageError, load_image
from showtell.data.images.pdf import is_pdf, pdf_pages
from showtell.datasets.printed_text import MIN_CONFIDENCE, TextLine, TextReader
from showtell.errors import UserError
from showtell.pipelines.document_readers import SHIPPED, Reader, reader_of
from showtell.pipelines.image_files import ImageFiles, Skip, all_files
from showtell.pipelines.model import Model, load_model
from showtell.tasks.documents import DocumentError
from showtell.tasks.grammar import accepts


@dataclass(frozen=True)
class Extracted:
    """The document in an image, or in a page of a PDF."""

    path: str
    page: int | None
    """From 1; None for an image."""
    documents: Any
    """A list of materials, or what else the schema asks for; it keeps the schema."""
    truncated: bool
    """Whether materials after these are missing, since the answer had no room for them."""
    lines: int
    """Lines of text that were read; none for a model that sees the image itself."""
    unsure: int
    """Lines that were left out since they are hard to read."""
    model: str


def extract_page(
    pixels: np.ndarray,
    reader: Reader,
    text_reader: Callable[[np.ndarray], list[TextLine]],
    schema: object,
    path: str,
    page: int | None,
) -> Extracted:
    """The document in one image, `uint8 [H W 3]`. Raises as the reader."""
    if reader.reads_images:
        found = reader(pixels, schema)
        return Extracted(path, page, found.document, found.truncated, 0, 0, reader.name)
    lines = text_reader(pixels)
    sure = [line for line in lines if line.confidence >= MIN_CONFIDENCE]
    found = reader(sure, schema)
    return Extracted(
        path, page, found.document, found.truncated, len(sure), len(lines) - len(sure), reader.name
    )


def extract(
    images: ImageFiles,
    reader: Reader | Model | None = None,
    *,
    schema: object = None,
    max_pixels: int = MAX_PIXELS,
    skip: Skip | None = None,
) -> Iterator[Extracted]:
    """The documents in image files, folders of them and PDFs, in the order given, one result per page.

    Each is valid against the JSON `schema`, by default a list of the materials of an image, each a dict with
    its kind under `文字材料类别`: one of those that the model was tuned on, else of all that are told apart.
    Without a `reader` the shipped model reads. A file that cannot be read, and a page that yields no such
    document, is passed to `skip`; without `skip` it raises.

    Raises `SchemaError` for a schema that cannot be kept, `MissingError` with the line that installs what
    is missing.

    Example::

        for page in showtell.extract("receipts/"):
            print(page.documents)
    """
    reader = load_model(SHIPPED) if reader is None else reader
    reads = reader_of(reader) if isinstance(reader, Model) else reader
    schema = reads.schema if schema is None else schema
    accepts(schema, "")  # a schema that cannot be kept is said before an image is read
    text_reader = _no_text if reads.reads_images else TextReader()
    for path in all_files([images] if isinstance(images, (Path, str)) else images):
        for number, pixels in _readable_pages(path, max_pixels, skip):
            try:
                yield extract_page(pixels, reads, text_reader, schema, str(path), number)
            except DocumentError as error:
                where = f"{path}, page {number}" if number else path
                _skipped(DocumentError(f"{where}: {error}"), skip)


def _no_text(pixels: np.ndarray) -> list[TextLine]:
    """What is read for a model that sees the image itself: the networks of `TextReader` are not needed."""
    return []


def _readable_pages(
    path: Path | ImageError, max_pixels: int, skip: Skip | None
) -> Iterator[tuple[int | None, np.ndarray]]:
    """The pages of a file with their numbers, as far as they can be read."""
    try:
        if isinstance(path, ImageError):
            raise path
        if is_pdf(path):
            yield from enumerate(pdf_pages(path, max_pixels), 1)
        else:
            yield None, load_image(path, max_pixels)
    except ImageError as error:
        _skipped(error, skip)


def _skipped(error: UserError, skip: Skip | None) -> None:
    if skip is None:
        raise error
    skip(error)
