"""How well each of some texts matches each of some images, by an encoder of pairs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from showtell.data.batch import Batch, TextBatch
from showtell.pairing import PairContrast, PairScorer
from showtell.protocols import Encoded

CHUNK = 64
"""Pairs per forward pass."""


@torch.inference_mode()
def pair_scores(system: PairScorer, texts: Sequence[Sequence[int]], images: Encoded) -> Tensor:
    """The log-odds `[R B]`, on the CPU, that each text, in ids, and each image belong together.

    Those of a system with a contrast of its own count that too, as the published code of BLIP-2 does.
    `images` come from `system.embed_images`, once for all texts; each text is read with all of the images at
    its own length, so nothing is computed for padding.
    """
    return torch.stack([_scores(system, ids, images) for ids in texts])


def _scores(system: PairScorer, ids: Sequence[int], images: Encoded) -> Tensor:
    one = torch.tensor([list(ids)], device=images.tokens.device)
    parts = []
    for first in range(0, len(images.tokens), CHUNK):
        some = images[slice(first, first + CHUNK)]
        rows = one.expand(len(some.tokens), -1)
        batch = Batch(texts=TextBatch(rows, torch.ones_like(rows, dtype=torch.bool)))
        parts.append(system.match(system.pair_vectors(batch, some)).float().cpu())
    scores = torch.cat(parts)
    if isinstance(system, PairContrast):
        text = TextBatch(one, torch.ones_like(one, dtype=torch.bool))
        scores += system.contrast(text, images)[0].float().cpu()
    return scores
