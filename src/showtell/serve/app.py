"""The application: routes behind one guard, models behind one worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from showtell.pipelines.image_chat import ImageChat
from showtell.pipelines.model import Model
from showtell.pipelines.search import Searcher
from showtell.serve import chat, documents, embeddings, images
from showtell.serve.answers import REFUSALS, ModelAnswer, ModelsAnswer, good, written_as
from showtell.serve.description import description, with_models
from showtell.serve.errors import answer_errors
from showtell.serve.guard import LOCAL, Guard
from showtell.serve.metrics import Measured, Metrics
from showtell.serve.served import Served
from showtell.serve.upstream import Upstream
from showtell.serve.worker import Worker
from showtell.version import __version__


@dataclass(frozen=True)
class Limits:
    """What a server takes on."""

    max_body: int = 20 << 20
    """Bytes of a request."""
    max_waiting: int = 16
    """Requests that wait while another is computed; more are refused at once."""
    seconds: float = 120.0
    """The longest that a request may take, waiting included."""
    memory: int | None = None
    """Bytes that questions to vision-language models may take, beside the models; None for any."""


def create_app(
    models: Mapping[str, Model | ImageChat],
    searcher: Searcher | None = None,
    *,
    upstream: Upstream | None = None,
    api_key: str | None = None,
    local: bool = True,
    limits: Limits = Limits(),
) -> FastAPI:
    """The application that serves loaded models, a library and another engine's models where there are any.

    `local`: without a key, it answers under the names of this machine's loopback alone, so that no page of
    the web reaches it by a name of its own.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.worker = Worker(
            max_waiting=limits.max_waiting, seconds=limits.seconds, memory=limits.memory
        )
        yield
        app.state.worker.close()
        if upstream is not None:
            await upstream.aclose()

    app = FastAPI(
        title="showtell",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses=REFUSALS,
    )
    app.state.served = Served(models, () if upstream is None else upstream.models)
    app.state.upstream = upstream
    app.state.searcher = searcher
    app.state.searchers = {}  # by engine, those that the first search with it opened
    app.state.metrics = Metrics()
    answer_errors(app)
    for module in (chat, documents, embeddings, images):
        app.include_router(module.router)

    @app.get("/v1/models", responses=good(ModelsAnswer))
    async def list_models() -> dict[str, Any]:
        """The models of this server."""
        return {"object": "list", "data": app.state.served.listed()}

    @app.get("/v1/models/{name:path}", responses=good(ModelAnswer))
    async def one_model(name: str) -> dict[str, Any]:
        """One of them."""
        return app.state.served.described(name)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Whether requests are taken."""
        return {"status": "ok", "version": __version__}

    @app.get("/docs", response_class=Response, responses=written_as("text/html"))
    async def docs() -> HTMLResponse:
        """This description. It loads nothing from elsewhere."""
        return HTMLResponse(description(app.openapi()))

    @app.get("/metrics", response_class=Response, responses=written_as("text/plain"))
    async def metrics(request: Request) -> Response:
        """Figures for a monitor."""
        app.state.metrics.inside.set(app.state.worker.inside)
        return Response(app.state.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    general = app.openapi
    app.openapi = lambda: with_models(general(), app.state.served.names)  # type: ignore[method-assign]
    hosts = LOCAL if local and api_key is None else ()
    app.add_middleware(Guard, api_key=api_key, max_body=limits.max_body, hosts=hosts)
    app.add_middleware(Measured, metrics=app.state.metrics)
    return app
