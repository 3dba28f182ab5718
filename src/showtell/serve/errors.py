"""Errors as OpenAI's clients read them: a status, a type, a code and a message, in one form everywhere."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from itertools import takewhile
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from showtell.data.images.decode import ImageError
from showtell.errors import UserError
from showtell.pipelines.prompt import TooLongError
from showtell.tasks.grammar import SchemaError

logger = logging.getLogger(__name__)


class APIError(Exception):
    """A request that is refused."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.kind, self.param, self.headers = kind, param, dict(headers or {})

    def body(self) -> dict[str, Any]:
        """What the client reads."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        """The answer over HTTP."""
        return JSONResponse(self.body(), self.status, self.headers)


def invalid(message: str, param: str | None = None, code: str = "invalid_value") -> APIError:
    """A field of the request that is wrong, unknown or not supported."""
    return APIError(HTTPStatus.BAD_REQUEST, code, message, param=param)


def overloaded(seconds: int, why: str = "as many requests wait as may") -> APIError:
    """A full queue, or a server that is ending; the client tries again after so many seconds."""
    return APIError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "overloaded",
        f"{why}; try again in {seconds} s",
        kind="server_error",
        headers={"Retry-After": str(seconds)},
    )


def as_api_error(error: Exception) -> APIError:
    """Any failure as what the client is told; one that is no fault of the request is logged, not quoted."""
    if isinstance(error, APIError):
        return error
    if isinstance(error, ImageError):
        return invalid(f"the image {error.reason}", code="invalid_image")
    if isinstance(error, SchemaError):
        return invalid(str(error), "response_format", "invalid_json_schema")
    if isinstance(error, TooLongError):
        return invalid(str(error), "messages", "context_length_exceeded")
    if isinstance(error, UserError):
        return invalid(str(error))
    number = uuid.uuid4().hex[:12]
    logger.error("internal error %s", number, exc_info=error)
    return APIError(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        f"something failed here; the server's log has it as {number}",
        kind="server_error",
    )


def answer_errors(app: FastAPI) -> None:
    """Let every failure of the application be answered in the one form."""

    async def known(request: Request, error: Exception) -> JSONResponse:
        return as_api_error(error).response()

    async def malformed(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return _malformed(error).response()

    async def routed(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return _routed(request, error).response()

    for kind in (APIError, UserError, Exception):
        app.add_exception_handler(kind, known)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(HTTPException, routed)


def _malformed(error: RequestValidationError) -> APIError:
    """The first field that is wrong, named as in the body.

    Of a field that may be of several types, pydantic lists the faults by each, under a label such as
    `list[constrained-str]`: told is one of the type that fits best, without the label.
    """
    first, *others = error.errors()
    if first["type"] == "json_invalid":
        return invalid("the body is not JSON", code="invalid_json")
    field = tuple(takewhile(lambda part: not _is_label(part), first["loc"]))
    alike = [first, *(one for one in others if one["loc"][: len(field)] == field)]
    told = max(alike, key=lambda one: (not one["type"].endswith("_type"), len(one["loc"])))
    parts = [str(part) for part in told["loc"] if part != "body" and not _is_label(part)]
    where = ".".join(parts) or None
    said = "is not known here" if told["type"] == "extra_forbidden" else told["msg"]
    return invalid(f"{where or 'the body'}: {said}", where)


def _is_label(part: str | int) -> bool:
    return "[" in str(part)


def _routed(request: Request, error: HTTPException) -> APIError:
    codes = {404: "not_found", 405: "method_not_allowed"}
    message = f"{request.method} {request.url.path}: {HTTPStatus(error.status_code).phrase.lower()}"
    if error.status_code == HTTPStatus.BAD_REQUEST:  # what FastAPI says of a body that it cannot decode
        return invalid("the body is not JSON in UTF-8", code="invalid_json")
    code = codes.get(error.status_code, "invalid_value")
    return APIError(error.status_code, code, message, headers=error.headers)
