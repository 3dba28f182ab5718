"""What says what a document is: from the text of its image, or from the image itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from showtell.data.documents.materials import DEFAULT_SCHEMA, KIND, OTHER
from showtell.datasets.printed_text import TextLine, page_of
from showtell.errors import UsageError, UserError
from showtell.hub.qwen_vl_system import is_tuned_qwen_vl
from showtell.pipelines.generate import stream
from showtell.pipelines.image_chat import ImageChat, Question, load_image_chat
from showtell.pipelines.model import Model, load_model
from showtell.tasks.documents import (
    DocumentError,
    asked,
    asked_of_image,
    fitted,
    page_text,
    parsed,
    whole_items,
    written,
)
from showtell.tasks.pen import Piece, Sampling
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
    """Says what the document of a page is."""

    name: str
    """For people: the model's."""
    reads_images: ClassVar[bool]
    """Whether it is given the image of a page, `uint8 [H W 3]`, in place of the lines of its text."""
    schema: object
    """What it is asked for by default: what it was trained on."""

    def __call__(self, page: Any, schema: object, /) -> Found:
        """The document of a page.

        Raises `SchemaError` for a schema that cannot be kept, `DocumentError` for a page that yields none.
        """
        ...


class LanguageReader:
    """A language model that reads the text of a page, with its layout, under the grammar of the schema."""

    reads_images: ClassVar = False

    def __init__(self, model: Model, max_tokens: int = MAX_TOKENS) -> None:
        self._model, self._max_tokens = model, max_tokens
        self.name = model.name
        self.schema = model.document_schema or DEFAULT_SCHEMA

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
        return document_of(pieces, schema)


def document_of(pieces: Sequence[Piece], schema: object) -> Found:
    """What a language model wrote under the grammar of a schema. Raises `DocumentError` for no whole item."""
    text = "".join(piece.text for piece in pieces)
    if pieces[-1].finish == "stop":
        return Found(parsed(text), truncated=False)
    items = whole_items("".join(piece.text for piece in pieces if not piece.made_up))
    if not items:
        raise DocumentError(
            f"the answer was truncated before one whole item: {pieces[-1].tokens} tokens are too few"
        )
    written(items, schema)
    return Found(items, truncated=True)


class SeeingReader:
    """A vision-language model, which reads the image itself: no text is looked for first."""

    reads_images: ClassVar = True

    def __init__(self, chat: ImageChat, max_tokens: int = MAX_TOKENS) -> None:
        self.chat, self._max_tokens = chat, max_tokens
        self.name = chat.name
        self.schema = chat.document_schema or DEFAULT_SCHEMA

    def question(self, pixels: np.ndarray, schema: object) -> Question:
        """What asks for the document in an image, `uint8 [H W 3]`.

        Raises `SchemaError` for a schema that cannot be kept, `DocumentError` for an image that the model
        does not take.
        """
        try:
            return self.chat.question(asked_of_image(schema), [pixels], Sampling(self._max_tokens), schema)
        except UsageError:
            raise
        except UserError as error:  # a strip, or more tokens than the model reads
            raise DocumentError(str(error)) from error

    def __call__(self, pixels: np.ndarray, schema: object) -> Found:
        """The document of an image. Raises as `question`, and `DocumentError` for no whole item."""
        return document_of(self.chat.pieces(self.question(pixels, schema)), schema)


class FieldReader:
    """A tagger of printed words, which knows the kinds of material that it was trained on."""

    reads_images: ClassVar = False
    schema: object = DEFAULT_SCHEMA

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


def load_reader(
    source: Path | str, device: str, max_tokens: int = MAX_TOKENS, max_image_tokens: int | None = None
) -> Reader:
    """What a checkpoint, or a folder of Qwen-VL as published, reads documents by.

    Raises as `load_model` and `load_image_chat`, and `UsageError` for tokens of an image that only a Qwen-VL
    makes.
    """
    if is_tuned_qwen_vl(source):
        return SeeingReader(load_image_chat(source, device, max_image_tokens), max_tokens)
    if max_image_tokens is not None:
        raise UsageError(f"{source} makes no tokens of an image; leave out --max-image-tokens")
    return reader_of(load_model(source, device), max_tokens)
