"""Questions about images answered by a vision-language model, several conversations at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from showtell.data.tokenizers.chat import Message, message_text
from showtell.device import choose_device
from showtell.hub.qwen_memory import bytes_held, bytes_needed
from showtell.hub.qwen_vl import Prompt, QwenVL
from showtell.hub.qwen_vl_system import load_tuned
from showtell.pipelines.prompt import TooLongError
from showtell.tasks.constrained import Answer
from showtell.tasks.grammar import Vocabulary, compile_schema, vocabulary_of
from showtell.tasks.pen import Completion, Pen, Piece, Put, Row, Sampling

MAX_TOGETHER = 8
"""Conversations of a batch."""
DEFAULT = Sampling(256)


@dataclass(frozen=True, eq=False)
class Question:
    """A conversation that waits for its answer."""

    prompt: Prompt
    sampling: Sampling
    answer: Answer | None
    """The document that is asked for."""


class ImageChat:
    """A vision-language model that answers messages with images."""

    def __init__(self, loaded: QwenVL, name: str) -> None:
        self._loaded, self.name, self.hash = loaded, name, loaded.hash
        self.document_schema = loaded.document_schema

    def can(self, protocol: type) -> bool:
        """Whether it keeps a protocol of `showtell.protocols`."""
        return isinstance(self, protocol)

    def question(
        self,
        messages: Sequence[Message],
        images: Iterable[np.ndarray],
        sampling: Sampling,
        schema: object = None,
    ) -> Question:
        """Messages as the model reads them, with the images, `uint8 [H W 3]`, that they name, in order.

        Raises `UserError` as `QwenVL.read`, `TooLongError` for more tokens than the model reads, and
        `SchemaError` for a schema that cannot be kept within `sampling.max_tokens`.
        """
        prompt = self._loaded.read(messages, images)
        limit = self._loaded.model.config.get_text_config().max_position_embeddings
        if len(prompt.ids) + sampling.max_tokens > limit:
            raise TooLongError(
                f"the messages have {len(prompt.ids)} tokens with their images, and {sampling.max_tokens} "
                f"may follow: the model reads {limit} in all"
            )
        return Question(prompt, sampling, self._document(schema, sampling.max_tokens))

    def fits(self, questions: Sequence[Question]) -> bool:
        """Whether questions may be answered in one batch."""
        return len(questions) <= MAX_TOGETHER

    def held(self, question: Question) -> int:
        """The bytes that a question takes while it waits."""
        return bytes_held(question.prompt)

    def needs(self, questions: Sequence[Question]) -> int:
        """The bytes that answering questions in one batch takes beside what they hold, at most."""
        prompts = [question.prompt for question in questions]
        return bytes_needed(self._loaded.model, prompts, [one.sampling.max_tokens for one in questions])

    @torch.inference_mode()
    def answer(self, questions: Sequence[Question], puts: Sequence[Put]) -> None:
        """Answer questions in one batch, piece by piece as they are generated."""
        loaded = self._loaded
        rows = [
            Row(len(one.prompt.ids), one.sampling, one.answer, put)
            for one, put in zip(questions, puts, strict=True)
        ]
        pen = Pen(rows, loaded.tokenizer, loaded.ends)
        loaded.model.generate(
            **loaded.collate([one.prompt for one in questions]),
            do_sample=False,
            max_new_tokens=max(one.sampling.max_tokens for one in questions) + 1,
            logits_processor=[pen],
            stopping_criteria=[pen.all_done],
        )

    def generate(
        self,
        messages: Sequence[Message],
        images: Iterable[np.ndarray] = (),
        sampling: Sampling = DEFAULT,
        schema: object = None,
    ) -> Completion:
        """The whole answer to messages. Raises as `question`.

        Example::

            model = load_image_chat("Qwen2-VL-2B-Instruct")
            parts = [{"type": "image"}, {"type": "text", "text": "What is this?"}]
            model.generate([{"role": "user", "content": parts}], [load_image("cat.jpg")]).completion
        """
        found = self.pieces(self.question(messages, images, sampling, schema))
        text, last = "".join(piece.text for piece in found), found[-1]
        return Completion(message_text(messages[-1]), text, last.tokens, 0, last.finish or "stop")

    def pieces(self, question: Question) -> list[Piece]:
        """The whole answer to one question, as it was generated."""
        found: list[Piece] = []

        def put(piece: Piece | Exception) -> bool:
            if isinstance(piece, Exception):
                raise piece
            found.append(piece)
            return True

        self.answer([question], [put])
        return found

    def _document(self, schema: object, max_tokens: int) -> Answer | None:
        if schema is None:
            return None
        vocabulary = self._vocabulary
        return Answer(compile_schema(schema, vocabulary), vocabulary, max_tokens + 1)

    @property
    def _vocabulary(self) -> Vocabulary:
        rows = self._loaded.model.config.get_text_config().vocab_size
        return vocabulary_of(self._loaded.tokenizer, rows)


def load_image_chat(
    folder: Path | str, device: str = "auto", max_image_tokens: int | None = None
) -> ImageChat:
    """Load a Qwen2-VL, Qwen2.5-VL or Qwen3-VL folder as published, or an adapter of one with its base.

    An image of more tokens than `max_image_tokens` is resized to them, by default to those of the device.

    Raises as `load_qwen_vl`, and `UsageError` for a device that is not there.
    """
    loaded = load_tuned(Path(folder), choose_device(device), max_image_tokens)
    return ImageChat(loaded, f"{Path(folder).name}@{loaded.hash[:12]}")
