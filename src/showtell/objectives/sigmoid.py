"""Is this text of this image, yes or no, for each pair on its own: the sigmoid loss."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


def pairwise_sigmoid(
    images: Float[Tensor, "B D"],
    texts: Float[Tensor, "R D"],
    scale: Float[Tensor, ""] | float,
    bias: Float[Tensor, ""] | float,
    owner: Int[Tensor, " R"] | None = None,
) -> Float[Tensor, ""]:
    """`-log sigmoid(z (s x.y + b))` of all pairs, `z` 1 for partners and -1 else, summed for each text.

    The mean over the texts, in nats; all of length 1. Text `r` describes image `owner[r]`, by default
    image `r`. No pair looks at another, so an image may have several texts or none.
    Source: Zhai et al. 2023, "Sigmoid Loss for Language Image Pre-Training", section 3.2, algorithm 1.

    >>> round(pairwise_sigmoid(torch.ones(1, 1), torch.ones(1, 1), 0.0, 0.0).exp().item(), 3)
    2.0
    """
    if owner is None:
        owner = torch.arange(len(texts), device=texts.device)
    logits = scale * texts @ images.T + bias
    partners = owner[:, None] == torch.arange(len(images), device=owner.device)
    return -F.logsigmoid(torch.where(partners, logits, -logits)).sum(1).mean()
