"""Captions of encoded images, as text with how sure the model is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from showtell.data.tokenizers.words import WordTokenizer
from showtell.protocols import Captioner, Encoded
from showtell.tasks.decoding import beam_search, nucleus


@dataclass(frozen=True)
class Caption:
    """What the model says of an image."""

    text: str
    logprob: float
    """Log-probability of the whole caption with its end, nats."""
    logprob_per_token: float
    """Its mean a prediction; near 0 is sure, under about -2 is a guess."""


def caption(
    system: Captioner,
    tokenizer: WordTokenizer,
    encoded: Encoded,
    *,
    beam: int = 5,
    num: int = 1,
    sample: Literal["nucleus"] | None = None,
    seed: int = 0,
) -> list[list[Caption]]:
    """`num` captions of each of the `B` images, best first; unknown words are never said."""
    with torch.inference_mode():
        memory = system.prefill(encoded)
    banned = (tokenizer.pad, tokenizer.unknown)
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
            num=num,
        )
    return [[Caption(tokenizer.decode(h.ids), h.logprob, h.logprob_per_token) for h in row] for row in found]
