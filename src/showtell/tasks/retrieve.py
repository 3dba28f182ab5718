"""Rank pictures by the probability of a description: a captioner as a search engine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from showtell.objectives.causal_words import next_words
from showtell.protocols import Captions, State


@torch.inference_mode()
def likelihood(system: Captions, ids: Sequence[int], memory: State, chunk: int = 256) -> Tensor:
    """Log-probability a word of the query for each remembered picture, `[B]`, nats.

    `ids` are the query's words between start and end, `memory` what `system.remember` made of the
    pictures, once for any number of queries. Teacher forcing, `chunk` pictures at a time.
    Source: Vinyals et al. 2015, section 4.3.5 (ranking by `p(S|I)`).
    """
    pictures = len(next(iter(memory.values())))
    scores = [torch.empty(0)]
    for first in range(0, pictures, chunk):
        some = {name: value[first : first + chunk] for name, value in memory.items()}
        size = min(chunk, pictures - first)
        device = next(iter(some.values())).device
        words = torch.tensor(ids, device=device).expand(size, -1)
        keep = torch.ones_like(words, dtype=torch.bool)
        logits = system.say(some, torch.arange(size, device=device), words, keep)
        logprobs = logits.log_softmax(-1).gather(1, next_words(words, keep)[:, None])
        scores.append(logprobs.view(size, -1).mean(1).cpu())
    return torch.cat(scores)
