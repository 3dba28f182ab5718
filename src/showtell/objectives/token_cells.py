"""Reading in place: each cell of a grid over an image predicts the token that is drawn there."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


def token_cells(
    logits: Float[Tensor, "B N V"],
    owner: Int[Tensor, " T"],
    ids: Int[Tensor, " T"],
    shares: Float[Tensor, "T N"],
) -> Float[Tensor, ""]:
    """`-sum_n share_tn log softmax(logits_owner(t),n)_ids(t)`, a mean over the tokens `t` with a place.

    `shares` from `pointing.cell_shares`; 0 if no token has a place. Where a mask is drawn the cell predicts
    the token under it.

    Source: the idea of classes per place is that of Liao et al. 2019, "Scene text recognition from
    two-dimensional perspective", section 3.2, there of characters and pixels.
    """
    token, cell = shares.nonzero(as_tuple=True)
    log_probs = F.log_softmax(logits, -1)[owner[token], cell, ids[token]]
    return -(shares[token, cell] * log_probs).sum() / (shares.sum(1) > 0).sum().clamp(min=1)
