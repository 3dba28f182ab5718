"""The probability that a captioner gives to captions, by teacher forcing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from showtell.data.batch import pad
from showtell.objectives.causal_tokens import next_tokens
from showtell.protocols import Captioner, Encoded, State

BLOCK = 2**19
"""Logits at a time."""


@torch.inference_mode()
def likelihood(system: Captioner, ids: Sequence[int], memory: State, chunk: int = 512) -> Tensor:
    """Mean log-probability per token of one query for each image, `[B]` on the CPU, nats.

    `ids` is the query between start and end; `memory` is `system.prefill` of the images, computed once for
    any number of queries. `chunk` images at a time.
    Source: Vinyals et al. 2015, section 4.3.5 (ranking by `p(S|I)`).
    """
    images = len(next(iter(memory.values())))
    scores = [torch.empty(0)]
    for first in range(0, images, chunk):
        some = {name: value[first : first + chunk] for name, value in memory.items()}
        size = min(chunk, images - first)
        device = next(iter(some.values())).device
        query = torch.tensor(ids, device=device).expand(size, -1)
        keep = torch.ones_like(query, dtype=torch.bool)
        logits = system.teacher_forced_logits(some, torch.arange(size, device=device), query, keep)
        logprobs = _log_probabilities(logits, next_tokens(query, keep))
        scores.append(logprobs.view(size, -1).mean(1).cpu())
    return torch.cat(scores)


def _log_probabilities(logits: Tensor, targets: Tensor) -> Tensor:
    """Of the targets `[T]`, in float32; a block of rows at a time, which the processor's cache holds."""
    rows = max(1, BLOCK // logits.shape[1])
    blocks = zip(logits.split(rows), targets.split(rows), strict=True)
    return torch.cat([-F.cross_entropy(some.float(), of, reduction="none") for some, of in blocks])


@torch.inference_mode()
def negative_log_likelihood(
    system: Captioner, encoded: Encoded, captions: Sequence[Sequence[Sequence[int]]]
) -> tuple[float, int]:
    """`-log p` summed over all captions of the `B` encoded images, nats, and the number of predicted tokens.

    Each caption is ids between start and end; the end is predicted, the start is not.
    """
    device = encoded.pooled.device
    ids, keep = (t.to(device) for t in pad([row for rows in captions for row in rows]))
    owner = torch.tensor([b for b, rows in enumerate(captions) for _ in rows], device=device)
    logits = system.teacher_forced_logits(system.prefill(encoded), owner, ids, keep)
    targets = next_tokens(ids, keep)
    return F.cross_entropy(logits, targets, reduction="sum").item(), len(targets)
