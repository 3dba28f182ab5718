"""Continuations of a text, and answers to messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from showtell.data.tokenizers.chat import Message
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import UsageError, UserError
from showtell.pipelines.model import Model
from showtell.protocols import CausalLanguageModel
from showtell.tasks.decoding import greedy, nucleus


@dataclass(frozen=True)
class Completion:
    """A text with its continuation."""

    text: str
    """The prompt, or the last message."""
    completion: str
    """What follows it, the first space included; or the answer."""
    tokens: int
    """Generated tokens."""
    cut: int
    """Tokens at the start of the prompt that the model did not read."""


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
) -> Completion:
    """At most `max_tokens` tokens after a text: the most probable each time, or sampled from the nucleus.

    An empty text is allowed. Of a text that is too long only the end is read, or it is refused with `strict`
    by a `UserError`. In place of a text, messages are answered, by the model's chat template; they are never
    cut. Raises `UsageError` for a model that is no causal language model or has no chat template, and for
    more tokens than it reads.

    Example::

        generate("Once upon", load_model("run")).completion
        smol = load_model("SmolLM2-135M-Instruct")
        generate([{"role": "user", "content": "Who are you?"}], smol).completion
    """
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
    prompt = [*opening, *whole[cut:]] or [tokenizer.start]
    ids = torch.tensor([prompt], device=model.device)
    memory = model.system.empty_cache(1)
    rows = len(model.system.token_embeddings())
    if ids.shape[1] > 1:
        _, memory = model.system.extend(memory, ids[:, :-1], torch.ones_like(ids[:, :-1], dtype=torch.bool))
    start, end = prompt[-1], tokenizer.end
    banned = [i for i in (*tokenizer.special, *tokenizer.unused(rows)) if i != end]
    if sample is None:
        (found,) = greedy(model.system, memory, start=start, end=end, max_tokens=max_tokens, banned=banned)
    else:
        ((found,),) = nucleus(
            model.system,
            memory,
            start=start,
            end=end,
            generator=torch.Generator(model.device).manual_seed(seed),
            top_p=top_p,
            max_tokens=max_tokens,
            banned=banned,
            allow_start=True,
        )
    completion = tokenizer.decode([*prompt, *found.ids]).removeprefix(tokenizer.decode(prompt))
    return Completion(shown, completion, len(found.ids), cut)
