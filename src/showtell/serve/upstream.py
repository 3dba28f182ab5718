"""Another engine behind the same wire: any server that speaks as OpenAI's, such as vLLM on many machines.

What clients ask is checked here before it is sent on, and what the engine answers before it is passed on: an
answer with a JSON schema is valid against it, whether or not the engine keeps schemas.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from http import HTTPStatus

import httpx2
from pydantic import BaseModel, ValidationError

from showtell.errors import UserError
from showtell.serve.engine_answers import RETRY_AFTER, chunks_of, failed, finish_of, refusal, start_of
from showtell.serve.errors import APIError, overloaded
from showtell.serve.pixels import images_of
from showtell.serve.wire import DEFAULT_TOKENS, ChatRequest
from showtell.tasks.checked_text import BrokenText, CheckedText
from showtell.tasks.pen import Piece

AT_ONCE = 64
"""Requests that an engine is given at the same time; more are refused."""
TOKEN_CHARACTERS = 64
"""The longest text per token that is believed."""
CONNECT_SECONDS = 10.0
SENT = {"model", "messages", "temperature", "top_p", "seed", "stop", "response_format"}
"""Fields of a request that the engine gets as they are."""
logger = logging.getLogger(__name__)


class _Listed(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Listed]


class Upstream:
    """An engine by its base URL, with the models that it had when the server started."""

    def __init__(self, url: str, models: Sequence[str], *, key: str | None = None, seconds: float) -> None:
        """`seconds`: the longest that an answer may take."""
        self.models, self._seconds = tuple(models), seconds
        self.inside = 0
        """Answers that it writes."""
        timeout = httpx2.Timeout(seconds, connect=CONNECT_SECONDS)
        limits = httpx2.Limits(max_connections=AT_ONCE)
        self._client = httpx2.AsyncClient(
            base_url=url, headers=_headers(key), timeout=timeout, limits=limits, trust_env=False
        )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checks")

    async def answer(self, body: ChatRequest) -> AsyncGenerator[Piece]:
        """The engine's answer to messages, piece by piece, the last with why it ended.

        Raises `APIError` for what the request or the engine does wrong, `SchemaError` for a schema that
        cannot be kept.
        """
        if self.inside >= AT_ONCE:
            raise overloaded(RETRY_AFTER)
        self.inside += 1
        try:
            loop = asyncio.get_running_loop()
            checked = await loop.run_in_executor(self._thread, _checked, body)
            async with aclosing(self._pieces(body, checked)) as pieces:
                until = loop.time() + self._seconds
                while True:
                    async with asyncio.timeout_at(until):
                        piece = await anext(pieces, None)
                    if piece is None:
                        break
                    yield piece
        except (TimeoutError, httpx2.ReadTimeout, httpx2.PoolTimeout):
            message = f"the engine took longer than {self._seconds:g} s"
            raise APIError(HTTPStatus.GATEWAY_TIMEOUT, "timeout", message, kind="server_error") from None
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            logger.error("the engine cannot be reached: %s", error)
            raise overloaded(RETRY_AFTER, "the engine cannot be reached") from None
        except httpx2.RequestError as error:
            raise failed("broke off its answer") from error
        except BrokenText as error:
            message = f"the engine's answer {error}"
            raise APIError(HTTPStatus.BAD_GATEWAY, "schema_not_met", message, kind="server_error") from None
        finally:
            self.inside -= 1

    async def aclose(self) -> None:
        """End its connections."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        await self._client.aclose()

    async def _pieces(self, body: ChatRequest, checked: CheckedText | None) -> AsyncGenerator[Piece]:
        asked = body.model_dump(include=SENT, by_alias=True, exclude_none=True)
        most = body.limit or DEFAULT_TOKENS
        asked |= {"max_tokens": most, "stream": True, "stream_options": {"include_usage": True}}
        room, count, finish, usage = TOKEN_CHARACTERS * most, 0, None, None
        async with self._client.stream("POST", "chat/completions", json=asked) as response:
            if response.status_code != HTTPStatus.OK:
                raise refusal(response.status_code, await start_of(response), response.headers)
            async for chunk in chunks_of(response):
                usage = chunk.usage or usage
                for choice in chunk.choices[:1]:
                    text, finish = choice.delta.content or "", choice.finish_reason or finish
                    count += bool(text)
                    room -= len(text)
                    if room < 0:
                        raise failed(f"writes more than {most} tokens can hold")
                    if text and (text := checked.write(text) if checked else text):
                        yield Piece(text, count, 0)
        ended = finish_of(finish)
        rest = ""
        if checked and ended == "length" and not checked.complete:
            rest = checked.close()
        elif checked:
            checked.end()
        tokens, prompt = (usage.completion_tokens, usage.prompt_tokens) if usage else (count, 0)
        yield Piece(rest, tokens, prompt, ended)


def find_models(url: str, key: str | None = None) -> list[str]:
    """The models of an engine. Raises `UserError` where none answers under the URL."""
    try:
        response = httpx2.get(
            f"{url.rstrip('/')}/models", headers=_headers(key), timeout=CONNECT_SECONDS, trust_env=False
        )
        response.raise_for_status()
        found = [model.id for model in _Models.model_validate_json(response.content).data]
    except (httpx2.HTTPError, httpx2.InvalidURL, ValidationError) as error:
        what = "its answer lists no models" if isinstance(error, ValidationError) else str(error)
        raise UserError(
            f"no engine answers at {url}: {what}; --engine takes the base URL of an OpenAI-compatible "
            "server, such as http://127.0.0.1:8001/v1"
        ) from error
    if not found:
        raise UserError(f"the engine at {url} has no models")
    return found


def _headers(key: str | None) -> dict[str, str]:
    return {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {key}"} if key else {})


def _checked(body: ChatRequest) -> CheckedText | None:
    """The check of the answer, when that of the request is passed."""
    for _ in images_of(body.images):
        pass  # one after the other, so that one alone is in memory
    return None if body.schema_wanted is None else CheckedText(body.schema_wanted)
