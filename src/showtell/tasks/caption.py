"""Captions of encoded images, with the model's confidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import torch

from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.data.tokenizers.words import WordTokenizer
from showtell.protocols import Captioner, Encoded
from showtell.tasks.consensus import by_consensus
from showtell.tasks.decoding import beam_search, nucleus

MOST_TOKENS = 20
BEAM = 10
"""Hypotheses of a search, among which the caption is chosen that most agrees with all."""


@dataclass(frozen=True)
class Caption:
    """A caption and its log-probability under the model."""

    text: str
    logprob: float
    """Of the whole caption with its end, nats."""
    logprob_per_token: float
    """Its mean per predicted token; near 0 is sure, below about -2 unreliable."""


def caption(
    system: Captioner,
    tokenizer: WordTokenizer | SubwordTokenizer,
    encoded: Encoded,
    *,
    beam: int = BEAM,
    num: int = 1,
    consensus: bool = True,
    sample: Literal["nucleus"] | None = None,
    seed: int = 0,
) -> list[list[Caption]]:
    """`num` captions of each of the `B` images, best first, by beam search or sampling; none holds the
    unknown token.

    The best of a beam is the one that most agrees with all; without `consensus`, the one of the highest
    log-probability per token, to the power of the search's length penalty.
    """
    with torch.inference_mode():
        memory = system.prefill(encoded)
    banned = tokenizer.never_generated(cast(Any, system).config.vocab_size)
    if sample == "nucleus":
        generator = torch.Generator(encoded.pooled.device).manual_seed(seed)
        found = nucleus(
            system,
            memory,
            start=tokenizer.start,
            end=tokenizer.end,
            banned=banned,
            num=num,
            generator=generator,
        )
    else:
        found = beam_search(
            system,
            memory,
            start=tokenizer.start,
            end=tokenizer.end,
            banned=banned,
            beam=max(beam, num),
            num=max(beam, num),
            max_tokens=_most_tokens(system),
        )
        found = [(by_consensus(row) if consensus else row)[:num] for row in found]
    return [
        [Caption(tokenizer.decode(h.ids).strip(), h.logprob, h.logprob_per_token) for h in row]
        for row in found
    ]


def _most_tokens(system: Captioner) -> int:
    """Tokens of a caption: at most 20, and no more than fit after the start or the prompt, before the end."""
    config = cast(Any, system).config
    room = getattr(config, "max_length", MOST_TOKENS + 2) - 1 - max(len(getattr(config, "prompt", ())), 1)
    return max(min(MOST_TOKENS, room), 1)
