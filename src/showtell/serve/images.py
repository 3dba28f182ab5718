"""Captions of images, and images of the library: found by words, by an image, and shown."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from showtell.errors import UsageError, UserError
from showtell.library.hit import Hit
from showtell.library.search import Library
from showtell.pipelines.engine import engine_named
from showtell.pipelines.search import Searcher
from showtell.pipelines.tags import sights
from showtell.protocols import Captioner, ImageEncoder
from showtell.serve.answers import CaptionsAnswer, ImagesAnswer, SearchAnswer, good, written_as
from showtell.serve.errors import APIError, invalid
from showtell.serve.pixels import pixels_of
from showtell.serve.served import Served
from showtell.serve.wire import CaptionRequest, SearchRequest, SimilarRequest
from showtell.serve.worker import Worker

router = APIRouter(prefix="/v1")


@router.post("/captions", responses=good(CaptionsAnswer))
async def captions(body: CaptionRequest, request: Request) -> dict[str, Any]:
    """The best captions of an image with their log-probabilities, tags, and whether it looks familiar."""
    served: Served = request.app.state.served
    worker: Worker = request.app.state.worker
    name, model = served.able(body.model, "caption images", Captioner, ImageEncoder)

    def found() -> dict[str, Any]:
        encoded = model.encode([model.prepare(pixels_of(body.image, "image"))])
        (rows,) = model.caption_encoded(encoded, beam=body.beam, num=body.num)
        (seen,) = sights(model, encoded)
        return {
            "object": "list",
            "model": name,
            "data": [vars(one) for one in rows],
            "tags": [vars(tag) for tag in seen.tags],
            "familiar": seen.familiar,
        }

    return await worker.run(found)


@router.post("/search", responses=good(SearchAnswer))
async def search(body: SearchRequest, request: Request) -> dict[str, Any]:
    """Images of the library that fit a description, best first."""
    if not body.query.strip():
        raise invalid("query is empty; describe an image in a few words", "query")
    first = _searcher(request)
    worker: Worker = request.app.state.worker

    def found() -> dict[str, Any]:
        searcher = _answering(request, first, body.engine)
        answer = searcher.search(body.query, body.engine, body.top, cuts=searcher.cuts(strict=True))
        listed = _listed(searcher.library, answer.hits, _captioned(request, first))
        return {**listed, "unknown_words": answer.unknown}

    return await worker.run(found)


@router.post("/similar", responses=good(ImagesAnswer))
async def similar(body: SimilarRequest, request: Request) -> dict[str, Any]:
    """The images of the library nearest to an image, nearest first; the image itself is left out."""
    searcher = _searcher(request)
    worker: Worker = request.app.state.worker
    if (body.image is None) == (body.id is None):
        raise invalid("give an image, or the id of one in the library", "image")

    def found() -> dict[str, Any]:
        if body.image is None:
            row = _row(searcher.library, body.id or "")
            hits = searcher.library.similar(searcher.library.vectors()[row], body.top + 1)
            others = [hit for hit in hits if hit.row != row][: body.top]
            return _listed(searcher.library, others, _captioned(request, searcher))
        model = searcher.model
        vector = model.encode([model.prepare(pixels_of(body.image, "image"))]).pooled[0].cpu()
        found = searcher.library.similar(vector, body.top)
        return _listed(searcher.library, found, _captioned(request, searcher))

    return await worker.run(found)


@router.get("/images/{id}", response_class=Response, responses=written_as("image/jpeg"))
async def thumbnail(id: str, request: Request) -> Response:
    """A small JPEG of an image of the library."""
    searcher = _searcher(request)
    worker: Worker = request.app.state.worker
    library = searcher.library
    (jpeg,) = await worker.run(lambda: library.thumbnails([_row(library, id)]))
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


def _searcher(request: Request) -> Searcher:
    searcher: Searcher | None = request.app.state.searcher
    if searcher is None:
        raise APIError(
            HTTPStatus.NOT_FOUND, "not_found", "there is no library here; start the server with --library"
        )
    return searcher


def _answering(request: Request, first: Searcher, engine: str | None) -> Searcher:
    """The server's searcher where its model supports the engine, else one of a served model that does.

    Raises `APIError` for an unknown engine, and where no served model with vectors in the library supports
    it.
    """
    known: dict[str | None, Searcher] = request.app.state.searchers
    if engine is None or engine in known:
        return known.get(engine, first)
    try:
        chosen, folder = engine_named(engine), first.library.folder
    except UsageError as error:
        raise invalid(str(error), "engine") from None
    served: Served = request.app.state.served
    if not chosen.needs_model:
        known[engine] = Searcher(folder)
        return known[engine]
    able: list[Any] = [first.model, *served.models.values()]
    for model in able:
        if all(map(model.can, chosen.requires)):
            with suppress(UserError):  # it has not indexed the library
                known[engine] = Searcher(folder, model)
                return known[engine]
    raise invalid(
        f"no model here searches by {engine}; start the server with a --model that does and has indexed the "
        "library",
        "engine",
    )


def _captioned(request: Request, first: Searcher) -> Library:
    """The library as the captioner that indexed it last stored it, if there is one."""
    return _answering(request, first, "captions").library


def _row(library: Library, id: str) -> int:
    """An image by the SHA-256 of its file. Raises `APIError` for an unknown one."""
    row = library.row_of(id)
    if row is None:
        raise APIError(HTTPStatus.NOT_FOUND, "not_found", "the library holds no image of this id", param="id")
    return row


def _listed(library: Library, hits: list[Hit], captioned: Library) -> dict[str, Any]:
    """Hits by id and name: no path of this machine leaves it.

    An image without a caption of the model that searched has the one of `captioned`, where it is there.
    """
    data = [
        {
            "id": stored.hash,
            "name": stored.path.name,
            "score": hit.score,
            "caption": stored.caption or captioned.caption_of(stored.hash),
            "captions": stored.captions,
        }
        for hit, stored in zip(hits, library.rows([hit.row for hit in hits]), strict=True)
    ]
    return {"object": "list", "data": data}
