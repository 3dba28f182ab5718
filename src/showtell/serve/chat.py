"""`/v1/chat/completions`: messages answered, whole or as a stream."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from showtell.serve.answers import ChatAnswer, good
from showtell.serve.errors import as_api_error, invalid
from showtell.serve.own_models import answered
from showtell.serve.pixels import images_of
from showtell.serve.served import Served
from showtell.serve.upstream import Upstream
from showtell.serve.wire import DEFAULT_TOKENS, ChatRequest
from showtell.serve.worker import AnswersTogether, Asked, Worker
from showtell.tasks.pen import Piece, Sampling
from showtell.tasks.stops import Stops

CLIENT_LEFT = 499
"""The status that is logged for a request whose client has gone."""
router = APIRouter(prefix="/v1")


@router.post("/chat/completions", responses=good(ChatAnswer, content={"text/event-stream": {}}))
async def chat_completions(body: ChatRequest, request: Request) -> Response:
    """An answer, whole or as a stream of server-sent events."""
    if body.schema_wanted is not None and body.stops:
        raise invalid("a JSON document ends by itself, and would be cut by stop: leave it out", "stop")
    upstream: Upstream | None = request.app.state.upstream
    name, note = body.model, dict[str, str]()
    if upstream is not None and name in upstream.models:
        results = upstream.answer(body)
    else:
        results, note = _computed(body, request)
    head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": name}
    if body.stream:
        first = await anext(results)  # before it, a refusal still has its own status
        wanted = body.stream_options is not None and body.stream_options.include_usage
        count = request.app.state.metrics.tokens.labels(name)
        events = _events(first, results, head, wanted, count)
        headers = {"Cache-Control": "no-store", **note}
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)
    found = []
    async with aclosing(results):
        async for piece in results:
            found.append(piece)
            if await request.is_disconnected():  # nobody waits for the rest
                return Response(status_code=CLIENT_LEFT)
    request.app.state.metrics.tokens.labels(name).inc(found[-1].tokens)
    message = {"role": "assistant", "content": "".join(piece.text for piece in found)}
    choice = {"index": 0, "message": message, "finish_reason": found[-1].finish, "logprobs": None}
    answer = {**head, "object": "chat.completion", "choices": [choice], "usage": usage(found[-1])}
    return JSONResponse(answer, headers=note)


def _computed(body: ChatRequest, request: Request) -> tuple[AsyncGenerator[Piece], dict[str, str]]:
    """The answer of a model of this process, and headers."""
    served: Served = request.app.state.served
    worker: Worker = request.app.state.worker
    name, model = served.named(body.model)
    if model.can(AnswersTogether):
        return worker.stream(_asked(body, model)), {}
    pieces, note = answered(body, model, name)
    return worker.stream(lambda: until(pieces, body.stops)), {"X-Showtell-Note": note} if note else {}


async def _events(
    first: Piece, rest: AsyncGenerator[Piece], head: dict[str, Any], usage_wanted: bool, count: Any
) -> AsyncGenerator[str]:
    """Server-sent events; a failure after the first piece is one of them."""

    def event(content: dict[str, Any], finish: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": content, "finish_reason": finish, "logprobs": None}
        return _event({**head, "object": "chat.completion.chunk", "choices": [choice], **more})

    null = {"usage": None} if usage_wanted else {}
    last = first
    async with aclosing(rest):
        try:
            yield event({"role": "assistant", "content": first.text}, **null)
            if first.finish is None:
                async for last in rest:
                    if last.text:
                        yield event({"content": last.text}, **null)
            yield event({}, last.finish, **null)
            if usage_wanted:
                chunk = {**head, "object": "chat.completion.chunk", "choices": [], "usage": usage(last)}
                yield _event(chunk)
            yield "data: [DONE]\n\n"
        except Exception as error:
            yield _event(as_api_error(error).body())
        finally:
            count.inc(last.tokens)


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"


def usage(last: Piece) -> dict[str, int]:
    """The tokens that were read and written."""
    return {
        "prompt_tokens": last.prompt_tokens,
        "completion_tokens": last.tokens,
        "total_tokens": last.prompt_tokens + last.tokens,
    }


def until(pieces: Iterable[Piece], stops: Sequence[str]) -> Iterator[Piece]:
    """Pieces up to the first of some texts, without it; what may begin one waits until that is known.

    >>> found = until([Piece("a b", 1, 1), Piece("cd", 2, 1, "length")], ["bc"])
    >>> [(piece.text, piece.finish) for piece in found]
    [('a ', None), ('', 'stop')]
    """
    watched = Stops(stops)
    for piece in pieces:
        text = watched.take(piece.text, last=piece.finish is not None)
        finish = "stop" if watched.found else piece.finish
        if text or finish:
            yield replace(piece, text=text, finish=finish)
        if finish:
            return


def _asked(body: ChatRequest, model: AnswersTogether) -> Asked:
    """Messages with images, for a model that answers several conversations at once."""
    messages = [{"role": message.role, "content": message.parts} for message in body.messages]
    sampling = Sampling(body.limit or DEFAULT_TOKENS, **body.drawn, stops=tuple(body.stops))

    def question() -> Any:
        return model.question(messages, images_of(body.images), sampling, body.schema_wanted)

    return Asked(model, question)
