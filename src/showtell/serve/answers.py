"""The bodies of answers, as the description of the service names them. Tests compare with what is sent."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """No fields but those named."""

    model_config = ConfigDict(extra="forbid")


class Refusal(Answer):
    """Why a request is refused."""

    message: str
    type: Literal["invalid_request_error", "authentication_error", "permission_error", "server_error"]
    param: str | None
    """The field of the body that is wrong."""
    code: str


class RefusalAnswer(Answer):
    """The body of every answer that is none."""

    error: Refusal


class UsageAnswer(Answer):
    """Tokens that were read and written."""

    prompt_tokens: int
    total_tokens: int
    completion_tokens: int | None = None


class Message(Answer):
    """What the model says."""

    role: Literal["assistant"]
    content: str


class Choice(Answer):
    """The answer; there is one."""

    index: int
    message: Message
    finish_reason: Literal["stop", "length"]
    logprobs: None


class ChatAnswer(Answer):
    """An answer to messages."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: UsageAnswer


class Embedding(Answer):
    """One vector: numbers, or the base64 of little-endian float32."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingsAnswer(Answer):
    """A vector per input, in order."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: UsageAnswer


class CaptionFound(Answer):
    """A caption with its log-probability, of the whole and per token, in nats."""

    text: str
    logprob: float
    logprob_per_token: float


class TagFound(Answer):
    """What a classifier recognised, with its probability."""

    label: str
    probability: float


class CaptionsAnswer(Answer):
    """Captions of an image, best first, and what else is seen; `familiar` is null where it is not known."""

    object: Literal["list"]
    model: str
    data: list[CaptionFound]
    tags: list[TagFound]
    familiar: bool | None


class ImageFound(Answer):
    """An image of the library: a captioner's caption of it, and the person's own."""

    id: str
    name: str
    score: float
    caption: str | None
    captions: list[str]


class ImagesAnswer(Answer):
    """Images of the library, best first."""

    object: Literal["list"]
    data: list[ImageFound]


class SearchAnswer(ImagesAnswer):
    """Images that fit a description, and its words that the model does not know."""

    unknown_words: list[str]


class ModelAnswer(Answer):
    """A model and what it can do; one of another engine has no hash."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: Literal["showtell", "engine"]
    can: list[str]
    hash: str | None = None


class ModelsAnswer(Answer):
    """The models of this server."""

    object: Literal["list"]
    data: list[ModelAnswer]


def good(model: type[BaseModel], *, content: dict[str, Any] | None = None) -> dict[int | str, dict[str, Any]]:
    """The description of a good answer; `content` of its other media types."""
    said: dict[str, Any] = {"model": model, "description": (model.__doc__ or "").strip()}
    return {200: said | ({"content": content} if content else {})}


def written_as(media_type: str) -> dict[int | str, dict[str, Any]]:
    """The description of a good answer that is no JSON; its route has `response_class=Response`."""
    return {200: {"content": {media_type: {}}}}


REFUSALS: dict[int | str, dict[str, Any]] = {
    int(status): {"model": RefusalAnswer, "description": what}
    for status, what in {
        HTTPStatus.BAD_REQUEST: "The request is wrong, or asks for what is not done.",
        HTTPStatus.UNAUTHORIZED: "The API key is missing or wrong.",
        HTTPStatus.FORBIDDEN: "Another host name or another site's page.",
        HTTPStatus.NOT_FOUND: "There is no such model, image or route.",
        HTTPStatus.METHOD_NOT_ALLOWED: "The route has another method.",
        HTTPStatus.REQUEST_TIMEOUT: "The body did not arrive.",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not application/json.",
        HTTPStatus.UNPROCESSABLE_ENTITY: "The answer was cut before it held anything whole.",
        HTTPStatus.INTERNAL_SERVER_ERROR: "Something failed here; the log says what.",
        HTTPStatus.BAD_GATEWAY: "The engine of --engine answers badly.",
        HTTPStatus.SERVICE_UNAVAILABLE: "As many requests wait as may.",
        HTTPStatus.GATEWAY_TIMEOUT: "The answer took too long.",
    }.items()
}
