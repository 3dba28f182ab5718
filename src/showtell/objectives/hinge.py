"""A pair must score higher than its hardest rivals, by a margin."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def hardest_hinge(
    scores: Float[Tensor, "B R"], margin: float = 0.2, owner: Int[Tensor, " R"] | None = None
) -> Float[Tensor, ""]:
    """`max_j [m - s_ii + s_ij]_+ + max_j [m - s_ii + s_ji]_+` for `j != i`, mean over the pairs.

    `scores [B R]` has pictures as rows and texts as columns. Text `r` describes picture `owner[r]`, by
    default picture `r`; other texts of the same picture are no rivals, and there must be at least one rival
    of each kind. The paper sums over the pairs; the mean makes the learning rate independent of their number.
    Source: Faghri et al. 2018, "VSE++", equation 6.
    """
    if owner is None:
        owner = torch.arange(scores.shape[1], device=scores.device)
    own = scores.gather(0, owner[None])[0]
    pair = torch.arange(len(scores), device=scores.device)[:, None] == owner
    rivals = scores.masked_fill(pair, -torch.inf)
    by_image, by_text = rivals.amax(1)[owner], rivals.amax(0)
    return ((margin - own + by_image).relu() + (margin - own + by_text).relu()).mean()
