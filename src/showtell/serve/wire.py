"""The bodies of requests: what is not known or not done is refused, never ignored."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from showtell.tasks.caption import BEAM

DEFAULT_TOKENS = 256
"""The most tokens of an answer whose request says nothing of it."""


def _encodable(text: str) -> str:
    """Raises `ValueError` for half of a surrogate pair, which JSON can spell and no file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a surrogate pair, which is no text") from None
    return text


Text = Annotated[str, AfterValidator(_encodable)]


class Body(BaseModel):
    """No unknown fields, no conversions between types."""

    model_config = ConfigDict(extra="forbid", strict=True)


class TextPart(Body):
    """A text in a message."""

    type: Literal["text"]
    text: Text


class ImageURL(Body):
    """An image as a `data:` URL."""

    url: Text
    detail: Literal["auto", "low", "high"] = "auto"


class ImagePart(Body):
    """An image in a message."""

    type: Literal["image_url"]
    image_url: ImageURL


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class ChatMessage(Body):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: Text | list[Part]
    name: Text | None = None

    @property
    def text(self) -> str:
        """Its texts, one per line."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content if isinstance(part, TextPart))

    @property
    def parts(self) -> str | list[dict[str, str]]:
        """The content as a chat template takes it: a text, or parts, with a place for each image."""
        if not self.images:
            return self.text
        parts = self.content if isinstance(self.content, list) else []
        return [
            {"type": "text", "text": part.text} if isinstance(part, TextPart) else {"type": "image"}
            for part in parts
        ]

    @property
    def images(self) -> list[str]:
        """The URLs of its images."""
        parts = [] if isinstance(self.content, str) else self.content
        return [part.image_url.url for part in parts if isinstance(part, ImagePart)]


class PlainFormat(Body):
    """Plain text."""

    type: Literal["text"]


class ObjectFormat(Body):
    """Any JSON object."""

    type: Literal["json_object"]


class NamedSchema(Body):
    """A JSON schema. It is always kept, `strict` or not."""

    name: Text
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    description: Text | None = None
    strict: bool | None = None


class SchemaFormat(Body):
    """A JSON document that is valid against a schema."""

    type: Literal["json_schema"]
    json_schema: NamedSchema


ResponseFormat = Annotated[PlainFormat | ObjectFormat | SchemaFormat, Field(discriminator="type")]


class StreamOptions(Body):
    """Of a streamed answer."""

    include_usage: bool = False


class ChatRequest(Body):
    """`POST /v1/chat/completions`."""

    model: Text
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=256)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1, le=4096)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=4096)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: int | None = None
    stop: Text | Annotated[list[Text], Field(max_length=4)] | None = None
    n: Literal[1] = 1
    response_format: ResponseFormat | None = None
    store: Literal[False] | None = None
    user: Text | None = None
    metadata: dict[str, Any] | None = None

    @property
    def schema_wanted(self) -> dict[str, Any] | None:
        """The JSON schema that the answer keeps; None for plain text."""
        match self.response_format:
            case ObjectFormat():
                return {"type": "object"}
            case SchemaFormat(json_schema=named):
                return named.schema_
            case _:
                return None

    @property
    def limit(self) -> int | None:
        """The most tokens that the answer may have, where the request says it."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def images(self) -> list[str]:
        """The URLs of the images of all messages."""
        return [url for message in self.messages for url in message.images]

    @property
    def drawn(self) -> dict[str, Any]:
        """How tokens are drawn: a temperature of 1 and another seed each time, where nothing is said."""
        return {
            "temperature": 1.0 if self.temperature is None else self.temperature,
            "top_p": 1.0 if self.top_p is None else self.top_p,
            "seed": int.from_bytes(uuid.uuid4().bytes[:4]) if self.seed is None else self.seed % 2**63,
        }

    @property
    def stops(self) -> list[str]:
        """Where the answer ends; empty texts say nothing."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [text for text in given if text]


class EmbeddingRequest(Body):
    """`POST /v1/embeddings`: texts, or images as `data:` URLs."""

    model: Text
    input: Text | Annotated[list[Text], Field(min_length=1, max_length=2048)]
    encoding_format: Literal["float", "base64"] = "float"
    user: Text | None = None


class CaptionRequest(Body):
    """`POST /v1/captions`."""

    image: Text
    model: Text | None = None
    num: Annotated[int, Field(ge=1, le=20)] = 1
    beam: Annotated[int, Field(ge=1, le=20)] = BEAM


class SearchRequest(Body):
    """`POST /v1/search`: a description of images in the library."""

    query: Text
    engine: Text | None = None
    top: Annotated[int, Field(ge=1, le=1000)] = 10


class SimilarRequest(Body):
    """`POST /v1/similar`: an image, or one of the library by its id."""

    image: Text | None = None
    id: Text | None = None
    top: Annotated[int, Field(ge=1, le=1000)] = 10


class DocumentRequest(Body):
    """`POST /v1/documents`: an image, and the JSON schema of the answer, by default a list of materials."""

    image: Text
    model: Text | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
