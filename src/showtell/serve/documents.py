"""`/v1/documents`: the document in an image as JSON that keeps a schema."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request

from showtell.datasets.printed_text import TextReader
from showtell.pipelines.document_readers import SHIPPED, Reader, SeeingReader, document_of, reader_of
from showtell.pipelines.extract import Extracted, extract_page
from showtell.pipelines.model import Model, load_model
from showtell.serve.errors import APIError, invalid
from showtell.serve.pixels import pixels_of
from showtell.serve.served import Served, chats
from showtell.serve.wire import DocumentRequest
from showtell.serve.worker import AnswersTogether, Asked, Worker
from showtell.tasks.documents import DocumentError
from showtell.tasks.pen import Piece
from showtell.tasks.word_tagging import FieldTagger

router = APIRouter(prefix="/v1")


@router.post("/documents")
async def documents(body: DocumentRequest, request: Request) -> dict[str, Any]:
    """What the printed text of an image says, by default a list of materials, each with its kind."""
    served: Served = request.app.state.served
    worker: Worker = request.app.state.worker
    model = None if body.model is None else _named(served, body.model)
    try:
        if model is not None and model.can(AnswersTogether):
            page = await _seen(body.image, SeeingReader(model), body.schema_, worker)
        else:
            page = await worker.run(partial(_read, body.image, model, body.schema_))
    except DocumentError as error:
        raise APIError(HTTPStatus.UNPROCESSABLE_ENTITY, "no_document", str(error)) from error
    return {
        "object": "document",
        "model": page.model,
        "documents": page.documents,
        "truncated": page.truncated,
        "lines": page.lines,
        "unsure": page.unsure,
    }


def _read(image: str, model: Model | None, schema: object | None) -> Extracted:
    """The document in an image, by its text."""
    reader = _shipped() if model is None else reader_of(model)
    schema = reader.schema if schema is None else schema
    return extract_page(pixels_of(image, "image"), reader, _text_reader(), schema, "", None)


async def _seen(image: str, reader: SeeingReader, schema: object | None, worker: Worker) -> Extracted:
    """The document in an image by a model that sees it, in one batch with other questions to it."""
    schema = reader.schema if schema is None else schema
    question = Asked(reader.chat, lambda: reader.question(pixels_of(image, "image"), schema))
    pieces: AsyncGenerator[Piece] = worker.stream(question)
    found = document_of([piece async for piece in pieces], schema)
    return Extracted("", None, found.document, found.truncated, 0, 0, reader.name)


def _named(served: Served, name: str) -> Any:
    """A model that reads documents. Raises `APIError` for an unknown one, and one that reads none."""
    name, model = served.named(name)
    if not (model.can(AnswersTogether) or model.can(FieldTagger) or chats(model)):
        raise invalid(f"the model {name} reads no documents; leave it out for the shipped one", "model")
    return model


@lru_cache(maxsize=1)
def _shipped() -> Reader:
    """Kept: it is small."""
    return reader_of(load_model(SHIPPED))


@lru_cache(maxsize=1)
def _text_reader() -> TextReader:
    """Kept: compiling its networks takes seconds."""
    return TextReader()
