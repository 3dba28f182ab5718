"""Continuations of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import UsageError, UserError
from showtell.pipelines.model import Model
from showtell.protocols import CausalLanguageModel
from showtell.tasks.decoding import nucleus


@dataclass(frozen=True)
class Completion:
    """A text with its continuation."""

    text: str
    """The prompt."""
    completion: str
    """What follows it, the first space included."""
    tokens: int
    """Generated tokens."""
    cut: int
    """Tokens at the start of the prompt that the model did not read."""


@torch.inference_mode()
def generate(
    text: str,
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
    by a `UserError`. Raises `UsageError` for a model that is no causal language model, and for more tokens
    than it reads.

    Example::

        generate("Once upon", load_model("run")).completion
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
    prompt = tokenizer.pieces(text).ids or [tokenizer.start]
    cut = max(0, len(prompt) - room)
    if cut and strict:
        raise UserError(
            f"the text that begins with {text[:40]!r} has {len(prompt)} tokens, and {room} are read before "
            f"{max_tokens} more; shorten it"
        )
    ids = torch.tensor([prompt[cut:]], device=model.device)
    memory = model.system.empty_cache(1)
    rows = len(model.system.token_embeddings())
    if ids.shape[1] > 1:
        _, memory = model.system.extend(memory, ids[:, :-1], torch.ones_like(ids[:, :-1], dtype=torch.bool))
    ((found,),) = nucleus(
        model.system,
        memory,
        start=int(ids[0, -1]),
        end=tokenizer.end,
        generator=torch.Generator(model.device).manual_seed(seed),
        top_p=top_p if sample == "nucleus" else 1e-9,  # the smallest set holds the most probable token alone
        max_tokens=max_tokens,
        banned=[i for i in (*tokenizer.special, *tokenizer.unused(rows)) if i != tokenizer.end],
        allow_start=True,
    )
    whole = tokenizer.decode([*prompt[cut:], *found.ids])
    read = tokenizer.decode(prompt[cut:])
    return Completion(text, whole.removeprefix(read), len(found.ids), cut)
