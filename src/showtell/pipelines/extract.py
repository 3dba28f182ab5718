"""Documents in images as JSON that keeps a schema: their text is read first, then what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from showtell.data.documents.materials import DEFAULT_SCHEMA, KIND, OTHER
from showtell.data.images.decode import MAX_PIXELS, ImageError, load_image
from showtell.data.images.pdf import is_pdf, pdf_pages
from showtell.datasets.printed_text import MIN_CONFIDENCE, TextLine, TextReader, page_of
from showtell.errors import UsageError, UserError
from showtell.pipelines.generate import stream
from showtell.pipelines.image_files import ImageFiles, Skip, all_files
from showtell.pipelines.model import Model, load_model
from showtell.tasks.documents import DocumentError, asked, fitted, page_text, parsed, whole_items, written
from showtell.tasks.grammar import accepts
from showtell.tasks.word_tagging import FieldTagger, read_materials

SHIPPED = "default_documents"
"""The model that reads documents where none is named."""
MAX_TOKENS = 768
"""Of an answer."""


class Found(NamedTuple):
    """What a reader says of a page."""

    document: Any
    """Valid against the schema."""
    truncated: bool
    """Whether more followed, for which there was no room: of a list the whole items alone are here."""


class Reader(Protocol):
    """Reads what the lines of a page say."""

    name: str
    """For people: the model's."""

    def __call__(self, lines: list[TextLine], schema: object) -> Found:
        """The document of a page.

        Raises `SchemaError` for a schema that cannot be kept, `DocumentError` for a page that yields none.
        """
        ...


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
    """Lines of text that were read."""
    unsure: int
    """Lines that were left out since they are hard to read."""
    model: str


class LanguageReader:
    """A language model that reads the text of a page, with its layout, under the grammar of the schema."""

    def __init__(self, model: Model, max_tokens: int = MAX_TOKENS) -> None:
        self._model, self._max_tokens = model, max_tokens
        self.name = model.name

    def __call__(self, lines: list[TextLine], schema: object) -> Found:
        """As `Reader`. Raises `UsageError` for a model without a chat template."""
        page = page_of(lines)
        messages = asked(page_text(page.texts, page.boxes), schema)
        try:
            pieces = list(stream(messages, self._model, self._max_tokens, schema=schema))
        except UsageError:
            raise
        except UserError as error:  # more text than the model reads
            raise DocumentError(str(error)) from error
        text = "".join(piece.text for piece in pieces)
        if pieces[-1].finish == "stop":
            return Found(parsed(text), truncated=False)
        own = "".join(piece.text for piece in pieces if not piece.made_up)
        items = whole_items(own)
        if not items:
            raise DocumentError(
                f"the answer was truncated before one whole item: {self._max_tokens} tokens are too few"
            )
        written(items, schema)
        return Found(items, truncated=True)


class FieldReader:
    """A tagger of printed words, which knows the kinds of material that it was trained on."""

    def __init__(self, model: Model) -> None:
        """Raises `UsageError` for a model of another kind."""
        model.require(FieldTagger)
        self._model = model
        self.name = model.name

    def __call__(self, lines: list[TextLine], schema: object) -> Found:
        """As `Reader`: what it knows of what the schema names; `其他` for a text of no known material."""
        page = page_of(lines)
        materials = read_materials(self._model.system, page, self._model.device)
        if not materials and lines and schema == DEFAULT_SCHEMA:
            materials = [{KIND: OTHER}]
        return Found(json.loads(written(fitted(materials, schema), schema)), truncated=False)


def reader_of(model: Model, max_tokens: int = MAX_TOKENS) -> Reader:
    """What a model reads documents by: a tagger of words, or a language model."""
    return FieldReader(model) if model.can(FieldTagger) else LanguageReader(model, max_tokens)


def extract_page(
    pixels: np.ndarray, reader: Reader, text_reader: TextReader, schema: object, path: str, page: int | None
) -> Extracted:
    """The document in one image, `uint8 [H W 3]`. Raises as a `Reader`."""
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
    schema: object = DEFAULT_SCHEMA,
    max_pixels: int = MAX_PIXELS,
    skip: Skip | None = None,
) -> Iterator[Extracted]:
    """The documents in image files, folders of them and PDFs, in the order given, one result per page.

    Each is valid against the JSON `schema`, by default a list of the materials of an image, each a dict with
    its kind under `文字材料类别`. Without a `reader` the shipped model reads. A file that cannot be read, and
    a page that yields no such document, is passed to `skip`; without `skip` it raises.

    Raises `SchemaError` for a schema that cannot be kept, `MissingError` with the line that installs what
    is missing.

    Example::

        for page in showtell.extract("receipts/"):
            print(page.documents)
    """
    reader = load_model(SHIPPED) if reader is None else reader
    reads = reader_of(reader) if isinstance(reader, Model) else reader
    accepts(schema, "")  # a schema that cannot be kept is said before an image is read
    text_reader = TextReader()
    for path in all_files([images] if isinstance(images, (Path, str)) else images):
        for number, pixels in _readable_pages(path, max_pixels, skip):
            try:
                yield extract_page(pixels, reads, text_reader, schema, str(path), number)
            except DocumentError as error:
                where = f"{path}, page {number}" if number else path
                _skipped(DocumentError(f"{where}: {error}"), skip)


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
