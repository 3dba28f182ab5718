"""Captions of encoded images, with the model's confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch.nn import functional as F

from showtell.data.batch import Batch, TextBatch, pad
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.data.tokenizers.words import WordTokenizer
from showtell.protocols import Captioner, Encoded, SharedSpace
from showtell.tasks.consensus import by_consensus
from showtell.tasks.decoding import Hypothesis, beam_search, nucleus

MOST_TOKENS = 20
"""Of a caption."""
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

    The best of a beam is the one that most agrees with all and, of a model that compares images with texts,
    with the image; without `consensus`, the one of the highest log-probability per token, to the power of the
    search's length penalty.
    """
    with torch.inference_mode():
        memory = system.prefill(encoded)
    config = cast(Any, system).config
    how: Any = {
        "start": tokenizer.start,
        "end": tokenizer.end,
        "banned": tokenizer.never_generated(config.vocab_size),
        # With start and end no more than the model reads.
        "max_tokens": min(MOST_TOKENS, getattr(config, "max_length", MOST_TOKENS + 2) - 2),
    }
    if sample == "nucleus":
        generator = torch.Generator(encoded.pooled.device).manual_seed(seed)
        found = nucleus(system, memory, num=num, generator=generator, **how)
    else:
        beam = max(beam, num)
        beams = beam_search(system, memory, beam=beam, num=beam, **how)
        if consensus:
            cosines = _cosines(system, tokenizer, encoded, beams)
            beams = [by_consensus(row, own) for row, own in zip(beams, cosines, strict=True)]
        found = [row[:num] for row in beams]
    return [
        [Caption(tokenizer.decode(h.ids).strip(), h.logprob, h.logprob_per_token) for h in row]
        for row in found
    ]


@torch.inference_mode()
def _cosines(
    system: Captioner,
    tokenizer: WordTokenizer | SubwordTokenizer,
    encoded: Encoded,
    beams: Sequence[Sequence[Hypothesis]],
) -> list[list[float]]:
    """Of each caption and its image; none of a system that has no space for both."""
    if not isinstance(system, SharedSpace):
        return [[] for _ in beams]
    ids, keep = pad(
        [[tokenizer.start, *one.ids, tokenizer.end] for row in beams for one in row], tokenizer.pad
    )
    texts = system.text_vectors(Batch(texts=TextBatch(ids, keep)).to(encoded.pooled.device))
    owner = [place for place, row in enumerate(beams) for _ in row]
    cosines = F.cosine_similarity(encoded.pooled[owner].float(), texts.float())
    return [own.tolist() for own in cosines.split([*map(len, beams)])]
