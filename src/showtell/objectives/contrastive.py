"""InfoNCE: classify the positive among the negatives of a batch."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from showtell.objectives.cosine import all_cosines


def info_nce(
    anchors: Float[Tensor, "N D"], candidates: Float[Tensor, "M D"], scale: Float[Tensor, ""] | float
) -> Float[Tensor, ""]:
    """`-log exp(s a_i.c_i) / sum_j exp(s a_i.c_j)`, mean over the anchors, in nats.

    `anchors [N D]` and `candidates [M D]` have length 1; `scale` is 1 / temperature. Candidate `i` is the
    positive of anchor `i`; all others, including those from `N` on, are its negatives.
    Source: van den Oord et al. 2018, equation 4.

    >>> same = torch.ones(4, 1)
    >>> round(info_nce(same, same, 10.0).exp().item(), 3)
    4.0
    """
    logits = scale * all_cosines(anchors, candidates)
    return F.cross_entropy(logits, torch.arange(len(anchors), device=anchors.device))


def symmetric_info_nce(
    images: Float[Tensor, "B D"],
    texts: Float[Tensor, "R D"],
    scale: Float[Tensor, ""] | float,
    owner: Int[Tensor, " R"] | None = None,
) -> Float[Tensor, ""]:
    """The mean of InfoNCE from image to text and from text to image, in nats; vectors have length 1.

    Text `r` describes image `owner[r]`, by default image `r`. An image with several texts is an anchor once
    per text, and its other texts are not negatives. An image without a text is a negative of all texts.
    Source: Radford et al. 2021, "CLIP", figure 3, which has one text per image.
    """
    if owner is None:
        owner = torch.arange(len(texts), device=texts.device)
    return symmetric_cross_entropy(scale * all_cosines(texts, images), owner)


def symmetric_cross_entropy(logits: Float[Tensor, "R B"], owner: Int[Tensor, " R"]) -> Float[Tensor, ""]:
    """As `symmetric_info_nce`, of how alike each text and each image are, times the scale."""
    pair = logits.gather(1, owner[:, None])[:, 0]
    own = owner[:, None] == torch.arange(logits.shape[1], device=owner.device)
    # The lowest number instead of minus infinity: an image that owns every text has no negative.
    others = logits.masked_fill(own, torch.finfo(logits.dtype).min).logsumexp(0)
    image_to_text = torch.logaddexp(pair, others[owner]) - pair
    return (F.cross_entropy(logits, owner) + image_to_text.mean()) / 2
