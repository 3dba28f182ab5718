"""What a language model reads before it writes: the tokens of a text, or of messages with their images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from showtell.data.batch import Batch, TextBatch
from showtell.data.tokenizers.chat import Message, in_text, message_text
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import UsageError, UserError
from showtell.pairing import ImageReader
from showtell.pipelines.model import Model
from showtell.protocols import CausalLanguageModel, Encoded, State
from showtell.wording import counted


class TooLongError(UserError):
    """A conversation that is longer, with its answer, than the model reads."""


class Prompt(NamedTuple):
    """What is read before the first token is written."""

    ids: list[int]
    shown: str
    """The text, or the last message."""
    cut: int
    """Tokens at its start that are not among the ids."""
    tokenizer: SubwordTokenizer
    images: Encoded | None = None
    """Those whose tokens stand among the ids."""


class Read(NamedTuple):
    """The beginning of a conversation that was read already."""

    ids: list[int]
    state: State
    """Its KV cache, `[1 ...]`."""


def text_prompt(text: str, model: Model, max_tokens: int, strict: bool = False) -> Prompt:
    """The tokens of a text before `max_tokens` more: its end, where it is too long.

    Raises `UsageError` for a model that is no causal language model, or reads no more tokens than these,
    `UserError` with `strict` for a text to cut.
    """
    tokenizer, room = _reading(model, max_tokens)
    opening, whole = tokenizer.opening, tokenizer.pieces(text).ids
    cut = max(0, len(opening) + len(whole) - room)
    if cut and strict:
        raise UserError(
            f"the text that begins with {text[:40]!r} has {len(whole)} tokens, and {room - len(opening)} "
            f"are read before {max_tokens} more; shorten it"
        )
    return Prompt([*opening, *whole[cut:]] or [tokenizer.start], text, cut, tokenizer)


@torch.inference_mode()
def read_whole(text: str, model: Model, strict: bool = False) -> tuple[Prompt, State]:
    """What a `TextWriter` begins to write with, and its memory of a text: of the end, where it is too long.

    Raises `UserError` with `strict` for a text to cut.
    """
    tokenizer, limit = model.tokenizer, model.max_length
    assert isinstance(tokenizer, SubwordTokenizer)
    ids = tokenizer.encode(text)
    cut = 0 if limit is None else max(0, len(ids) - limit)
    if cut and strict:
        raise UserError(
            f"the text that begins with {text[:40]!r} has {len(ids)} tokens, and the model reads at most "
            f"{limit}; shorten it"
        )
    row = torch.tensor([ids[cut:]], device=model.device)
    encoded = model.system.encode_texts(Batch(texts=TextBatch(row, torch.ones_like(row, dtype=torch.bool))))
    return Prompt([tokenizer.start], text, cut, tokenizer), model.system.prefill_texts(encoded)


def chat_prompt(
    messages: Sequence[Message], model: Model, max_tokens: int, images: Encoded | None = None
) -> Prompt:
    """The tokens of messages before `max_tokens` more, by the model's chat template; nothing is cut.

    `images` are those that the messages name, encoded, in their order.

    Raises `TooLongError` for messages that are too long, `UserError` for as many images as they do not name,
    `UsageError` for images where the model reads none, and as `text_prompt`.
    """
    tokenizer, room = _reading(model, max_tokens)
    if not tokenizer.chat_template:
        raise UsageError(f"the model {model.name} has no chat template: it continues texts alone")
    if model.can(ImageReader):
        messages = [{**one, "content": in_text(one.get("content", ""))} for one in messages]
        ids = _with_images(tokenizer.encode_chat(messages, model.system.image_id), model, images)
    elif images is not None or any(not isinstance(one.get("content", ""), str) for one in messages):
        raise UsageError(f"the model {model.name} reads messages of text alone")
    else:
        ids = tokenizer.encode_chat(messages)
    shown = message_text(messages[-1])
    if len(ids) > room:
        said = " with their images" if images is not None else ""
        raise TooLongError(
            f"the conversation up to {shown[:40]!r} has {len(ids)} tokens{said}, and {room} are read before "
            f"{max_tokens} more; shorten it"
        )
    return Prompt(ids, shown, 0, tokenizer, images)


@torch.inference_mode()
def read(prompt: Prompt, model: Model, before: Read | None = None) -> State:
    """The KV cache of all tokens of a prompt but the last, `[1 ...]`.

    Those of `before` are not read again, where the prompt begins with them and they hold all images.
    """
    ids, system = prompt.ids[:-1], model.system
    image_id = system.image_id if prompt.images is not None else None
    state, rest = system.empty_cache(1), ids
    if before and ids[: len(before.ids)] == before.ids and image_id not in ids[len(before.ids) :]:
        state, rest = before.state, ids[len(before.ids) :]
    if not rest:
        return state
    row = torch.tensor([rest], device=model.device)
    keep = torch.ones_like(row, dtype=torch.bool)
    if image_id in rest:
        return system.extend_seen(state, row, keep, prompt.images)[1]
    return system.extend(state, row, keep)[1]


def _reading(model: Model, max_tokens: int) -> tuple[SubwordTokenizer, int]:
    """The tokenizer of a language model, and how many tokens it reads before it writes so many."""
    model.require(CausalLanguageModel)
    tokenizer = model.tokenizer
    assert isinstance(tokenizer, SubwordTokenizer)
    assert model.max_length is not None
    room = model.max_length - max_tokens
    if room < 1:
        raise UsageError(
            f"the model reads {model.max_length} tokens in all: ask for {model.max_length - 1} or fewer"
        )
    return tokenizer, room


def _with_images(ids: Sequence[int], model: Model, images: Encoded | None) -> list[int]:
    """Ids in which one stands for each image, with one for each of its tokens instead."""
    image_id, given = model.system.image_id, 0 if images is None else len(images.pooled)
    if (named := ids.count(image_id)) != given:
        raise UserError(
            f"the messages name {counted(named, 'image')}, and {given} came along: write <image> for an "
            "image alone, once for each"
        )
    if images is None:
        return list(ids)
    each = images.tokens.shape[1]
    counts = iter([each] * given if images.keep is None else images.keep.sum(1).tolist())
    return [one for i in ids for one in ([i] * next(counts) if i == image_id else [i])]
