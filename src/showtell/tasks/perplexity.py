"""How surprised a captioner is by what people say of images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from showtell.data.batch import pad
from showtell.objectives.causal_tokens import next_tokens
from showtell.protocols import Captioner, Encoded


@torch.inference_mode()
def nats(
    system: Captioner, encoded: Encoded, captions: Sequence[Sequence[Sequence[int]]]
) -> tuple[float, int]:
    """`-log p` of all captions of the `B` encoded images together, and how many words they predict.

    Each caption is ids between start and end; the end is predicted, the start is not.
    """
    device = encoded.pooled.device
    ids, keep = (t.to(device) for t in pad([row for rows in captions for row in rows]))
    owner = torch.tensor([b for b, rows in enumerate(captions) for _ in rows], device=device)
    logits = system.teacher_forced_logits(system.prefill(encoded), owner, ids, keep)
    targets = next_tokens(ids, keep)
    return F.cross_entropy(logits, targets, reduction="sum").item(), len(targets)
