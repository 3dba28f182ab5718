"""Doubly stochastic attention: every part of an image is attended to equally over a caption."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor


def doubly_stochastic(coverage: Float[Tensor, "R N"], lengths: Int[Tensor, " R"]) -> Float[Tensor, ""]:
    """`sum_i (1 - sum_t alpha_ti)^2`, averaged over captions, with the target scaled to `C / N`.

    `coverage [R N]` is the attention that each of `N` image tokens received over the caption's `C` tokens
    (`lengths [R]`). The paper's target of 1 assumes `C = N`; `C / N` is the equal share, which a caption of
    12 tokens over 49 image tokens can reach.

    Source: Xu et al. 2015, "Show, Attend and Tell", equation 14.
    """
    share = lengths[:, None].to(coverage.dtype) / coverage.shape[1]
    return (share - coverage).square().sum(1).mean()
