"""What an engine sends: a stream of server-sent events, or a refusal. None of it is believed unread."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Literal

import httpx2
from pydantic import BaseModel, ValidationError

from showtell.serve.errors import APIError, invalid, overloaded

MAX_EVENT = 1 << 20
"""Bytes of one event of a stream."""
RETRY_AFTER = 5
"""Seconds after which a client asks again, where the engine does not say."""
REFUSED = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""What an engine says of a request, not of itself."""
BUSY = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
logger = logging.getLogger(__name__)


class Delta(BaseModel):
    """What follows in a message."""

    content: str | None = None


class Choice(BaseModel):
    """One of the answers; there is one."""

    delta: Delta
    finish_reason: str | None = None


class Usage(BaseModel):
    """Tokens as the engine counts them."""

    prompt_tokens: int
    completion_tokens: int


class Chunk(BaseModel):
    """What is read of an event; engines add to it."""

    choices: list[Choice] = []
    usage: Usage | None = None


async def chunks_of(response: httpx2.Response) -> AsyncIterator[Chunk]:
    """The chunks of a stream until it says that it is done. Raises `APIError` where it does not."""
    held = b""
    async for part in response.aiter_raw():
        *lines, held = (held + part).split(b"\n")
        if len(held) > MAX_EVENT:
            raise failed(f"sent an event of more than {MAX_EVENT >> 20} MiB")
        for line in lines:
            if line.startswith(b"data:"):
                data = line.removeprefix(b"data:").strip()
                if data == b"[DONE]":
                    return
                yield _chunk(data)
    raise failed("broke off its answer")


def _chunk(data: bytes) -> Chunk:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        raise failed("sent an event that is no JSON") from None
    if isinstance(event, dict) and event.get("error"):
        logger.error("the engine failed while it answered: %.500s", event["error"])
        raise failed("failed while it answered")
    try:
        chunk = Chunk.model_validate(event)
        "".join(choice.delta.content or "" for choice in chunk.choices).encode()
    except (ValidationError, UnicodeEncodeError):
        raise failed("sent an event that is none of a chat completion") from None
    return chunk


def finish_of(reason: str | None) -> Literal["stop", "length"]:
    """Why an answer ended. Raises `APIError` for an answer that did not end as one does."""
    match reason:
        case "stop" | "length":
            return reason
        case None:
            raise failed("did not say why it ended")
        case _:
            raise failed(f"ended its answer for another reason: {reason[:40]}")


async def start_of(response: httpx2.Response) -> bytes:
    """As much of a response as fits an event."""
    content = b""
    async for part in response.aiter_raw():
        content += part
        if len(content) > MAX_EVENT:
            break
    return content


def refusal(status: int, content: bytes, headers: httpx2.Headers) -> APIError:
    """An answer of the engine that is none. What it says of the request is quoted, of itself only logged."""
    try:
        said = str(json.loads(content)["error"]["message"])[:500]
    except (ValueError, RecursionError, LookupError, TypeError):
        said = content[:200].decode(errors="replace")
    if status in BUSY:
        after = headers.get("retry-after", "")
        seconds = int(after) if after.isdecimal() and len(after) < 5 else RETRY_AFTER
        return overloaded(seconds, "the engine is busy")
    if status in REFUSED:
        return invalid(f"the engine refuses the request: {said}", code="refused_by_engine")
    logger.error("the engine answered %d: %s", status, said)
    return failed(f"answered with status {status}")


def failed(what: str) -> APIError:
    """An engine that does not answer as it should."""
    return APIError(HTTPStatus.BAD_GATEWAY, "engine_failed", f"the engine {what}", kind="server_error")
