"""Rank pictures by the probability of a description: a captioner as a search engine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from showtell.objectives.causal_words import next_words
from showtell.protocols import Captions, Encoded


@torch.inference_mode()
def likelihood(system: Captions, ids: Sequence[int], encoded: Encoded, chunk: int = 256) -> Tensor:
    """Log-probability a word of the query for each picture, `[B]`, nats.

    `ids` are the query's words between start and end. One query against a great many pictures: teacher
    forcing in chunks of pictures. Source: Vinyals et al. 2015, section 4.3.6 (ranking by `p(S|I)`).
    """
    scores = []
    for tokens, pooled in zip(encoded.tokens.split(chunk), encoded.pooled.split(chunk), strict=True):
        size = len(pooled)
        memory = system.remember(Encoded(tokens, pooled))
        words = torch.tensor(ids, device=pooled.device).expand(size, -1)
        keep = torch.ones_like(words, dtype=torch.bool)
        logits = system.say(memory, torch.arange(size, device=pooled.device), words, keep)
        logprobs = logits.log_softmax(-1).gather(1, next_words(words, keep)[:, None])
        scores.append(logprobs.view(size, -1).mean(1))
    return torch.cat(scores)
