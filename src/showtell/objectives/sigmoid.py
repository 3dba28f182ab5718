"""Sigmoid loss: each pair of image and text is classified on its own."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from showtell.objectives.cosine import all_cosines


def pairwise_sigmoid(
    images: Float[Tensor, "B D"],
    texts: Float[Tensor, "R D"],
    scale: Float[Tensor, ""] | float,
    bias: Float[Tensor, ""] | float,
    owner: Int[Tensor, " R"] | None = None,
) -> Float[Tensor, ""]:
    """`-log sigmoid(z (s x.y + b))` summed over all pairs, `z` 1 for positives and -1 for negatives.

    The sum is divided by the number of texts; nats; vectors have length 1. Text `r` describes image
    `owner[r]`, by default image `r`; an image may have several texts or none.
    Source: Zhai et al. 2023, "Sigmoid Loss for Language Image Pre-Training", section 3.2, algorithm 1.

    >>> round(pairwise_sigmoid(torch.ones(1, 1), torch.ones(1, 1), 0.0, 0.0).exp().item(), 3)
    2.0
    """
    if owner is None:
        owner = torch.arange(len(texts), device=texts.device)
    logits = scale * all_cosines(texts, images) + bias
    positive = owner[:, None] == torch.arange(len(images), device=owner.device)
    return -F.logsigmoid(torch.where(positive, logits, -logits)).sum(1).mean()
