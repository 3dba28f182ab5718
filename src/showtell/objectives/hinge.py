"""Hinge loss (triplet ranking): a pair must score higher than its negatives by a margin."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def hardest_hinge(
    scores: Float[Tensor, "B R"], margin: float = 0.2, owner: Int[Tensor, " R"] | None = None
) -> Float[Tensor, ""]:
    """`max_j [m - s_ii + s_ij]_+ + max_j [m - s_ii + s_ji]_+` for `j != i`, mean over the pairs.

    `scores [B R]` has images as rows and texts as columns. Text `r` describes image `owner[r]`, by default
    image `r`; other texts of the same image are not negatives. The paper sums over the pairs; the mean makes
    the learning rate independent of their number.
    Source: Faghri et al. 2018, "VSE++", equation 6.
    """
    by_image, by_text = _violations(scores, margin, owner)
    return (by_image.amax(1) + by_text.amax(0)).mean()


def sum_hinge(
    scores: Float[Tensor, "B R"], margin: float = 0.2, owner: Int[Tensor, " R"] | None = None
) -> Float[Tensor, ""]:
    """`sum_j [m - s_ii + s_ij]_+ + sum_j [m - s_ii + s_ji]_+` for `j != i`, mean over the pairs.

    As `hardest_hinge`, over all negatives.
    Source: Kiros et al. 2014, "Unifying visual-semantic embeddings", section 2.3; Faghri et al. 2018,
    equation 5.
    """
    by_image, by_text = _violations(scores, margin, owner)
    return (by_image.sum(1) + by_text.sum(0)).mean()


def _violations(
    scores: Tensor, margin: float, owner: Tensor | None
) -> tuple[Float[Tensor, "R R"], Float[Tensor, "B R"]]:
    """Margin violations of each pair by every negative text and by every negative image."""
    if owner is None:
        owner = torch.arange(scores.shape[1], device=scores.device)
    own = scores.gather(0, owner[None])[0]
    images = torch.arange(len(scores), device=scores.device)
    by_image = (margin - own[:, None] + scores[owner]).relu().masked_fill(owner[:, None] == owner, 0)
    by_text = (margin - own + scores).relu().masked_fill(images[:, None] == owner, 0)
    return by_image, by_text
