"""Rank images by the probability of a description: a captioner as a search engine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from showtell.objectives.causal_tokens import next_tokens
from showtell.protocols import Captioner, State


@torch.inference_mode()
def likelihood(system: Captioner, ids: Sequence[int], memory: State, chunk: int = 256) -> Tensor:
    """Log-probability a word of the query for each remembered image, `[B]`, nats.

    `ids` are the query's words between start and end, `memory` what `system.remember` made of the
    images, once for any number of queries. Teacher forcing, `chunk` images at a time.
    Source: Vinyals et al. 2015, section 4.3.5 (ranking by `p(S|I)`).
    """
    images = len(next(iter(memory.values())))
    scores = [torch.empty(0)]
    for first in range(0, images, chunk):
        some = {name: value[first : first + chunk] for name, value in memory.items()}
        size = min(chunk, images - first)
        device = next(iter(some.values())).device
        words = torch.tensor(ids, device=device).expand(size, -1)
        keep = torch.ones_like(words, dtype=torch.bool)
        logits = system.teacher_forced_logits(some, torch.arange(size, device=device), words, keep)
        logprobs = logits.log_softmax(-1).gather(1, next_tokens(words, keep)[:, None])
        scores.append(logprobs.view(size, -1).mean(1).cpu())
    return torch.cat(scores)
