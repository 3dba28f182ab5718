"""Look at every part of an image equally often over a whole caption."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor


def doubly_stochastic(coverage: Float[Tensor, "R N"], num_words: Int[Tensor, " R"]) -> Float[Tensor, ""]:
    """`sum_i (1 - sum_t alpha_ti)^2`, averaged over captions, with the target scaled to `C / N`.

    `coverage [R N]` is the attention that each of `N` tokens received over the caption's `C` words
    (`num_words [R]`). The paper's target of 1 assumes as many words as tokens; `C / N` is the equal
    share, so that a caption of 12 words over 49 tokens can reach it.

    Source: Xu et al. 2015, "Show, Attend and Tell", equation 14.
    """
    share = num_words[:, None].to(coverage.dtype) / coverage.shape[1]
    return (share - coverage).square().sum(1).mean()
