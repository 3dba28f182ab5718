"""A pair must score higher than its hardest rivals, by a margin."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def hardest_hinge(scores: Float[Tensor, "N N"], margin: float = 0.2) -> Float[Tensor, ""]:
    """`max_j [m - s_ii + s_ij]_+ + max_j [m - s_ii + s_ji]_+` for `j != i`, mean over the pairs.

    `scores [N N]` has pictures as rows, texts as columns and the pairs on its diagonal; N is at least 2. The
    paper sums over the pairs; the mean makes the learning rate independent of their number.
    Source: Faghri et al. 2018, "VSE++", equation 6.
    """
    own = scores.diagonal()
    pair = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    rivals = scores.masked_fill(pair, -torch.inf)
    by_image, by_text = rivals.amax(1), rivals.amax(0)
    return ((margin - own + by_image).relu() + (margin - own + by_text).relu()).mean()
