"""Continuations of a text, and answers to messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Literal, NamedTuple

import torch

from showtell.data.tokenizers.chat import Message
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import UsageError, UserError
from showtell.pipelines.model import Model
from showtell.protocols import CausalLanguageModel, State
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

    An empty text is allowed. Of a text that is too long only the end is read, or it is refused with `strict`
    by a `UserError`. In place of a text, messages are answered, by the model's chat template; they are never
    cut. With a JSON `schema`, what follows is a document that is valid against it, whatever the model.

    Raises `UsageError` for a model that is no causal language model or has no chat template, and for
    more tokens than it reads; `SchemaError`, one of them, for a schema that cannot be kept within
    `max_tokens`.

    Example::

        generate("Once upon", load_model("run")).completion
        smol = load_model("SmolLM2-135M-Instruct")
        generate([{"role": "user", "content": "Who are you?"}], smol).completion
    """
    prompt = _prompt(text, model, max_tokens, strict)
    temperature = 1.0 if sample == "nucleus" else 0.0
    answer = _document(schema, model, prompt, max_tokens)
    pieces = list(_pieces(prompt, model, max_tokens, temperature, top_p, seed, answer))
    completion = "".join(piece.text for piece in pieces)
    last = pieces[-1]
    return Completion(prompt.shown, completion, last.tokens, prompt.cut, last.finish or "stop")


def stream(
    text: str | Sequence[Message],
    model: Model,
    max_tokens: int = 40,
    *,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    schema: object = None,
) -> Iterator[Piece]:
    """What follows a text, or answers messages, piece by piece, as it is generated; nothing is cut.

    The most probable token each time at a `temperature` of 0, else sampled. A piece is whole characters.
    With a JSON `schema`, all pieces together are a document that is valid against it, one that the limit ends
    too.
    Raises as `generate`.
    """
    prompt = _prompt(text, model, max_tokens, strict=True)
    answer = _document(schema, model, prompt, max_tokens)
    yield from _pieces(prompt, model, max_tokens, temperature, top_p, seed, answer)


@torch.inference_mode()
def _pieces(
    prompt: _Prompt,
    model: Model,
    max_tokens: int,
    temperature: float,
    top_p: float,
    seed: int,
    answer: Answer | None,
) -> Iterator[Piece]:
    memory, banned = _read(prompt, model)
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
    given, ids = prompt.tokenizer.decode(prompt.ids), list(prompt.ids)
    for token in found if answer else islice(found, max_tokens):  # an answer keeps to its budget
        ids.append(token)
        now = prompt.tokenizer.decode(ids)
        if not now.endswith("\ufffd"):  # a character of several tokens
            count, cut = len(ids) - len(prompt.ids), answer is not None and answer.cut
            yield Piece(now.removeprefix(given), count, len(prompt.ids), made_up=cut)
            given = now
    count = len(ids) - len(prompt.ids)
    rest = prompt.tokenizer.decode(ids).removeprefix(given)
    cut = answer.cut if answer else count == max_tokens
    yield Piece(rest, count, len(prompt.ids), "length" if cut else "stop", answer is not None and cut)


def _document(schema: object, model: Model, prompt: _Prompt, max_tokens: int) -> Answer | None:
    """The document to write, of at most so many tokens; None without a schema."""
    if schema is None:
        return None
    vocabulary = vocabulary_of(prompt.tokenizer, len(model.system.token_embeddings()))
    return Answer(compile_schema(schema, vocabulary), vocabulary, max_tokens + 1)


class _Prompt(NamedTuple):
    ids: list[int]
    shown: str
    """The text, or the last message."""
    cut: int
    """Tokens at its start that are not among the ids."""
    tokenizer: SubwordTokenizer


def _prompt(text: str | Sequence[Message], model: Model, max_tokens: int, strict: bool) -> _Prompt:
    """The tokens that a model reads before it writes so many."""
    model.require(CausalLanguageModel)
    tokenizer = model.tokenizer
    assert isinstance(tokenizer, SubwordTokenizer)
    assert model.max_length is not None
    room = model.max_length - max_tokens
    if room < 1:
        raise UsageError(
            f"the model reads {model.max_length} tokens in all: ask for {model.max_length - 1} or fewer"
        )
    if isinstance(text, str):
        opening, whole, shown = tokenizer.opening, tokenizer.pieces(text).ids, text
    elif any(not isinstance(message.get("content", ""), str) for message in text):
        raise UsageError(f"the model {model.name} reads messages of text alone")
    elif tokenizer.chat_template:
        opening, whole, shown = [], tokenizer.encode_chat(text), text[-1]["content"]
    else:
        raise UsageError(f"the model {model.name} has no chat template: it continues texts alone")
    cut = max(0, len(opening) + len(whole) - room)
    if cut and (strict or not isinstance(text, str)):
        raise UserError(
            f"the text that begins with {shown[:40]!r} has {len(whole)} tokens, and {room - len(opening)} "
            f"are read before {max_tokens} more; shorten it"
        )
    return _Prompt([*opening, *whole[cut:]] or [tokenizer.start], shown, cut, tokenizer)


@torch.inference_mode()
def _read(prompt: _Prompt, model: Model) -> tuple[State, list[int]]:
    """The KV cache of all tokens of a prompt but the last, and the tokens that are never generated."""
    tokenizer = prompt.tokenizer
    memory = model.system.empty_cache(1)
    rows = len(model.system.token_embeddings())
    if len(prompt.ids) > 1:
        ids = torch.tensor([prompt.ids[:-1]], device=model.device)
        _, memory = model.system.extend(memory, ids, torch.ones_like(ids, dtype=torch.bool))
    return memory, tokenizer.never_generated(rows)
