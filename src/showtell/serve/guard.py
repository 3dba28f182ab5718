"""What every request passes before anything reads it: host, key, size. Plain ASGI: streams stay streams."""

from __future__ import annotations

import asyncio
import hmac
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from showtell.serve.errors import APIError

LOCAL = ("localhost", "127.0.0.1", "::1")
BODY_SECONDS = 30
"""For a whole body to arrive."""


class Guard:
    """Wraps an application."""

    def __init__(self, app: ASGIApp, *, api_key: str | None, max_body: int, hosts: tuple[str, ...]) -> None:
        """`hosts`: the names under which the server may be addressed; empty for any."""
        self._app, self._key, self._max_body, self._hosts = app, api_key, max_body, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on a request with its whole body read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
            body = await self._body(receive)
        except APIError as error:
            await error.response()(scope, receive, send)
            return
        await self._app(scope, _replayed(body, receive), send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if self._hosts and _host(headers.get("host", "")) not in self._hosts:
            raise APIError(
                HTTPStatus.FORBIDDEN,
                "bad_host",
                f"this server answers as {self._hosts[0]} alone; --host and --api-key open it to others",
                kind="permission_error",
            )
        origin = headers.get("origin")
        if self._key is None and origin and urlsplit(origin).netloc != headers.get("host"):
            raise APIError(
                HTTPStatus.FORBIDDEN,
                "bad_origin",
                "a page of another site asks; start the server with --api-key to allow it",
                kind="permission_error",
            )
        if self._key is not None and scope["path"] != "/health":
            given = headers.get("authorization", "").removeprefix("Bearer ").encode()
            if not hmac.compare_digest(given, self._key.encode()):
                raise APIError(
                    HTTPStatus.UNAUTHORIZED,
                    "invalid_api_key",
                    "the API key is missing or wrong; send `Authorization: Bearer KEY`",
                    kind="authentication_error",
                    headers={"WWW-Authenticate": "Bearer"},
                )
        if scope["method"] == "POST":
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                message = f"send the body as application/json, not {kind or 'without a type'}"
                raise APIError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._max_body:
            raise self._too_large()

    async def _body(self, receive: Receive) -> bytes:
        parts, size = [], 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        return b""  # the client left
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > self._max_body:
                        raise self._too_large()
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            late = f"the body did not arrive within {BODY_SECONDS} s"
            raise APIError(HTTPStatus.REQUEST_TIMEOUT, "timeout", late) from None

    def _too_large(self) -> APIError:
        message = f"the body is larger than {self._max_body:,} bytes; send fewer or smaller images"
        return APIError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", message)


def _host(header: str) -> str:
    """The name in a Host header, without its port.

    >>> _host("localhost:8000"), _host("[::1]:8000")
    ('localhost', '::1')
    """
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A body that was read already, then what else the client does: it may leave."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again
