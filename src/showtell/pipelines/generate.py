"""Continuations of a text, and answers to messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Literal

import numpy as np
import torch

from showtell.data.tokenizers.chat import Message
from showtell.pipelines.model import Model
from showtell.pipelines.prompt import Prompt, chat_prompt, read, read_whole, text_prompt
from showtell.protocols import State, TextWriter
from showtell.tasks.constrained import Answer
from showtell.tasks.decoding import stream_tokens
from showtell.tasks.grammar import compile_schema, vocabulary_of
from showtell.tasks.pen import Completion, Piece


@torch.inference_mode()
def generate(
    text: str | Sequence[Message],
    model: Model,
    max_tokens: int = 40,
    *,
    sample: Literal["nucleus"] | None = None,
    top_p: float = 0.9,
    seed: int = 0,
    strict: bool = False,
    schema: object = None,
) -> Completion:
    """At most `max_tokens` tokens after a text: the most probable each time, or sampled from the nucleus.

    An encoder-decoder reads the text and writes its own. An empty text is allowed. Of a text that is too long
    only the end is read, or it is refused with `strict` by a `UserError`. In place of a text, messages are
    answered, by the model's chat template; they are never cut. With a JSON `schema`, what follows is a
    document that is valid against it, whatever the model.

    Raises `UsageError` for a model that is no causal language model or has no chat template, and for
    more tokens than it reads; `SchemaError`, one of them, for a schema that cannot be kept within
    `max_tokens`.

    Example::

        generate("Once upon", load_model("run")).completion
        smol = load_model("SmolLM2-135M-Instruct")
        generate([{"role": "user", "content": "Who are you?"}], smol).completion
    """
    if isinstance(text, str) and model.can(TextWriter):
        prompt, memory = read_whole(text, model, strict)
    elif isinstance(text, str):
        prompt = text_prompt(text, model, max_tokens, strict)
        memory = read(prompt, model)
    else:
        prompt = chat_prompt(text, model, max_tokens)
        memory = read(prompt, model)
    temperature = 1.0 if sample == "nucleus" else 0.0
    answer = _document(schema, model, prompt, max_tokens)
    found = written(prompt, memory, model, max_tokens, temperature, top_p, seed, answer)
    pieces = list(found)
    completion = "".join(piece.text for piece in pieces)
    last = pieces[-1]
    return Completion(prompt.shown, completion, last.tokens, prompt.cut, last.finish or "stop")


def stream(
    messages: Sequence[Message],
    model: Model,
    max_tokens: int = 40,
    *,
    images: Sequence[np.ndarray] = (),
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    schema: object = None,
) -> Iterator[Piece]:
    """The answer to messages, piece by piece, as it is generated; nothing is cut.

    `images` are those that the messages name, prepared, `uint8 [S S 3]`, in their order. The most probable
    token each time at a `temperature` of 0, else sampled. A piece is whole characters.
    With a JSON `schema`, all pieces together are a document that is valid against it, one that the limit ends
    too.
    Raises as `generate`, and as `chat_prompt`.
    """
    prompt = chat_prompt(messages, model, max_tokens, model.encode(images) if images else None)
    answer = _document(schema, model, prompt, max_tokens)
    yield from written(prompt, read(prompt, model), model, max_tokens, temperature, top_p, seed, answer)


@torch.inference_mode()
def written(
    prompt: Prompt,
    memory: State,
    model: Model,
    max_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    answer: Answer | None = None,
) -> Iterator[Piece]:
    """What follows a prompt that was read, piece by piece; `answer` is the document that it is."""
    banned = prompt.tokenizer.never_generated(len(model.system.token_embeddings()))
    found = stream_tokens(
        model.system,
        memory,
        start=prompt.ids[-1],
        end=prompt.tokenizer.end,
        generator=torch.Generator(model.device).manual_seed(seed),
        temperature=temperature,
        top_p=top_p,
        banned=banned,
        answer=answer,
    )
    decode = prompt.tokenizer.decode
    ids = [i for i in prompt.ids if i < len(prompt.tokenizer)]  # images have an id of their own
    before, given = len(ids), decode(ids)
    for token in found if answer else islice(found, max_tokens):  # an answer keeps to its budget
        ids.append(token)
        now = decode(ids)
        if not now.endswith("\ufffd"):  # a character of several tokens
            cut = answer is not None and answer.cut
            yield Piece(now.removeprefix(given), len(ids) - before, len(prompt.ids), made_up=cut)
            given = now
    count = len(ids) - before
    rest = decode(ids).removeprefix(given)
    cut = answer.cut if answer else count == max_tokens
    yield Piece(rest, count, len(prompt.ids), "length" if cut else "stop", answer is not None and cut)


def _document(schema: object, model: Model, prompt: Prompt, max_tokens: int) -> Answer | None:
    """The document to write, of at most so many tokens; None without a schema."""
    if schema is None:
        return None
    vocabulary = vocabulary_of(prompt.tokenizer, len(model.system.token_embeddings()))
    return Answer(compile_schema(schema, vocabulary), vocabulary, max_tokens + 1)
