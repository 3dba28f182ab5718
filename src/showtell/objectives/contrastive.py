"""Find the partner among all others: InfoNCE."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def info_nce(
    anchors: Float[Tensor, "N D"], candidates: Float[Tensor, "M D"], scale: Float[Tensor, ""] | float
) -> Float[Tensor, ""]:
    """`-log exp(s a_i.c_i) / sum_j exp(s a_i.c_j)`, mean over the anchors; nats.

    `anchors [N D]` and `candidates [M D]` have length 1, `scale` is 1 / temperature. Candidate `i` is the
    positive of anchor `i`; all the others, also those from `N` on, are its negatives.
    Source: van den Oord et al. 2018, equation 4.

    >>> same = torch.ones(4, 1)
    >>> round(info_nce(same, same, 10.0).exp().item(), 3)
    4.0
    """
    return F.cross_entropy(scale * anchors @ candidates.T, torch.arange(len(anchors), device=anchors.device))


def symmetric_info_nce(
    images: Float[Tensor, "N D"], texts: Float[Tensor, "N D"], scale: Float[Tensor, ""] | float
) -> Float[Tensor, ""]:
    """`info_nce` from pictures to texts and back, averaged; both `[N D]` of length 1.

    Source: Radford et al. 2021, "CLIP", figure 3.
    """
    logits = scale * images @ texts.T
    targets = torch.arange(len(images), device=images.device)
    return (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets)) / 2
