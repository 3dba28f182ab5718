"""Messages answered by a model of this process, one request at a time, by what the model can."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from showtell.pairing import ImageReader
from showtell.pipelines.ask import best_answers, cuts_of
from showtell.pipelines.generate import stream
from showtell.pipelines.model import Model
from showtell.protocols import Captioner
from showtell.serve.errors import invalid
from showtell.serve.pixels import images_of, pixels_of
from showtell.serve.served import chats, knows_answers
from showtell.serve.wire import DEFAULT_TOKENS, ChatRequest
from showtell.tasks.pen import Piece
from showtell.wording import counted


def answered(body: ChatRequest, model: Model, name: str) -> tuple[Iterable[Piece], str]:
    """The answer, computed as it is read, and a note of what of the request does not count; empty for none.

    A language model writes it; a model of questions about images answers the one in the last message; a
    captioner captions the image, and so does a language model that can where nothing is said beside it.
    Raises `APIError` for what the model cannot.
    """
    last = body.messages[-1]
    alone = bool(last.images) and not last.text.strip()
    if chats(model) and not (alone and model.can(Captioner)):
        return _written(body, model, name), ""
    if knows_answers(model):
        more = len(body.messages) > 1
        note = "the question of the last message was read alone, without the messages before" if more else ""
        return _of_one_question(body, model, name), note
    if model.can(Captioner):
        texts = any(message.text for message in body.messages)
        note = "captions do not depend on texts: those of the messages were not read" if texts else ""
        return _captioned(body, model, name), note
    raise invalid(f"the model {name} does not answer messages; GET /v1/models says what it can", "model")


def _written(body: ChatRequest, model: Model, name: str) -> Iterable[Piece]:
    """A language model's answer, about images where it reads them."""
    if body.images and not model.can(ImageReader):
        raise invalid(f"the model {name} reads no images", "messages")
    messages = [{"role": message.role, "content": message.parts} for message in body.messages]
    limit = body.limit or DEFAULT_TOKENS

    def found() -> Iterator[Piece]:
        images = [model.prepare(pixels) for pixels in images_of(body.images)]
        yield from stream(messages, model, limit, images=images, schema=body.schema_wanted, **body.drawn)

    return found()


def _of_one_question(body: ChatRequest, model: Model, name: str) -> Iterable[Piece]:
    """The most probable answer to the question in the last message, about its images."""
    last, wanted = body.messages[-1], getattr(model.system, "num_images", 1)
    if len(last.images) != wanted or len(body.images) > wanted or not last.text.strip():
        raise invalid(
            f"the model {name} answers questions about {counted(wanted, 'image')}: send as many, and the "
            "question, in the last message",
            "messages",
        )
    _require_plain(body, name, "answers")

    def found() -> Iterator[Piece]:
        pixels = [model.prepare(pixels_of(url, "messages")) for url in last.images]
        best = best_answers(model, pixels, last.text, cuts_of(model, strict=True), 1)
        read = len(model.tokenizer.encode(last.text))
        yield _whole(best[0].answer if best else "", body.limit, read)

    return found()


def _captioned(body: ChatRequest, model: Model, name: str) -> Iterable[Piece]:
    """A caption of the image in the last message; a captioner reads no texts, whatever they ask."""
    images = body.messages[-1].images
    if len(images) != 1 or len(body.images) > 1:
        raise invalid(f"the model {name} captions images: send one image, in the last message", "messages")
    _require_plain(body, name, "captions")

    def found() -> Iterator[Piece]:
        encoded = model.encode([model.prepare(pixels_of(images[0], "messages"))])
        ((best,),) = model.caption_encoded(encoded)
        yield _whole(best.text, body.limit, encoded.tokens.shape[1])

    return found()


def _require_plain(body: ChatRequest, name: str, what: str) -> None:
    """Raises `APIError` for a request of what is not drawn at random, and is no JSON."""
    if body.temperature:
        raise invalid(f"{what} are the most probable ones: leave out temperature, or give 0", "temperature")
    if body.schema_wanted is not None:
        raise invalid(f"the model {name} writes {what}, and no JSON", "response_format")


def _whole(text: str, limit: int | None, prompt_tokens: int) -> Piece:
    """A text in one piece, of at most `limit` words.

    >>> _whole("a brown dog", 2, 5)
    Piece(text='a brown', tokens=2, prompt_tokens=5, finish='length', made_up=False)
    """
    words = text.split(" ")
    kept = words[:limit]
    return Piece(" ".join(kept), len(kept), prompt_tokens, "length" if len(kept) < len(words) else "stop")
