"""Question after question about the same images, by a language model that reads images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from showtell.data.images.decode import MAX_PIXELS, load_image
from showtell.data.tokenizers.chat import Message
from showtell.errors import UsageError
from showtell.hub.qwen_vl_system import is_tuned_qwen_vl
from showtell.pairing import ImageReader
from showtell.pipelines.generate import written
from showtell.pipelines.image_chat import load_image_chat
from showtell.pipelines.model import Model, load_model
from showtell.pipelines.prompt import Read, chat_prompt, read
from showtell.tasks.pen import Completion, Piece, Sampling
from showtell.wording import THESE_CHAT

MAX_TOKENS = 256
"""Of an answer, by default."""
Answers = Callable[[Sequence[Message], int, Callable[[Piece], object]], None]
"""Puts the pieces of the answer to messages, of at most so many tokens."""


class Chat:
    """A conversation about images, whose questions and answers are kept."""

    def __init__(self, answers: Answers, num_images: int, model: str) -> None:
        self._answers, self._num_images = answers, num_images
        self.model = model
        """Name of the model."""
        self.messages: list[Message] = []

    def ask(
        self, question: str, max_tokens: int = MAX_TOKENS, put: Callable[[Piece], object] | None = None
    ) -> Completion:
        """The most probable answer, given the images and all that was said before.

        `put` is given each piece of it as soon as it is known. An answer that the limit cut has the `finish`
        `length`, and is kept as it is. Raises `TooLongError` with both counts for a conversation that is
        longer than the model reads: the question is then forgotten. Raises `UsageError` for an empty one.
        """
        if not question.strip():
            raise UsageError("the question is empty; write one")
        shown = [] if self.messages else [{"type": "image"}] * self._num_images
        asked = {"role": "user", "content": [*shown, {"type": "text", "text": question}]}
        found: list[Piece] = []

        def take(piece: Piece) -> bool:
            found.append(piece)
            if put is not None:
                put(piece)
            return True

        self._answers([*self.messages, asked], max_tokens, take)
        text, last = "".join(piece.text for piece in found), found[-1]
        self.messages += [asked, {"role": "assistant", "content": text}]
        return Completion(question, text, last.tokens, 0, last.finish or "stop")


def open_chat(
    images: Sequence[Path | str], model: str, device: str = "auto", max_pixels: int = MAX_PIXELS
) -> Chat:
    """A conversation about image files, by a model that reads images: LLaVA, or a Qwen-VL folder.

    Raises `ImageError` for a file that cannot be read, `UsageError` for a model that reads no images among
    texts, or that has no chat template, and as `load_model` and `load_image_chat`.

    Example::

        chat = open_chat(["cat.jpg"], "run")
        chat.ask("What is on the sofa?").completion
        chat.ask("Which colour has it?").completion
    """
    if not is_tuned_qwen_vl(model):
        return chat_about(images, load_model(model, device), max_pixels)
    loaded = load_image_chat(model, device)
    pixels = [load_image(path, max_pixels) for path in images]

    def answers(messages: Sequence[Message], max_tokens: int, put: Callable[[Piece], object]) -> None:
        def take(piece: Piece | Exception) -> bool:
            if isinstance(piece, Exception):
                raise piece
            return bool(put(piece))

        loaded.answer([loaded.question(messages, pixels, Sampling(max_tokens))], [take])

    return Chat(answers, len(pixels), loaded.name)


def chat_about(images: Sequence[Path | str], model: Model, max_pixels: int = MAX_PIXELS) -> Chat:
    """A conversation about image files by a loaded model.

    The images are encoded once, and the KV cache of what was said stays: a question reads what is new alone.
    Raises as `open_chat`.
    """
    if not model.can(ImageReader):
        raise UsageError(f"the model {model.name} is not an image reader: it cannot chat; {THESE_CHAT}")
    encoded = model.encode([model.read(path, max_pixels) for path in images])
    before: Read | None = None

    def answers(messages: Sequence[Message], max_tokens: int, put: Callable[[Piece], object]) -> None:
        nonlocal before
        prompt = chat_prompt(messages, model, max_tokens, encoded)
        memory = read(prompt, model, before)
        before = Read(prompt.ids[:-1], memory)
        for piece in written(prompt, memory, model, max_tokens):
            put(piece)

    return Chat(answers, len(images), model.name)
