"""A square grid of tokens on a coarser one, by the mean over areas."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def coarser(grid: Float[Tensor, "B N D"], num_tokens: int) -> Float[Tensor, "B {num_tokens} D"]:
    """A square grid, row by row, on one of `num_tokens`; the mean of all tokens does not change.

    Each new token is the mean of the old ones that its square covers, weighted by area.
    """
    side, new = round(grid.shape[1] ** 0.5), round(num_tokens**0.5)
    if side == new:
        return grid
    weights = _overlap(side, new).to(grid)
    return torch.einsum("brcd,Rr,Cc->bRCd", grid.unflatten(1, (side, side)), weights, weights).flatten(1, 2)


def _overlap(side: int, new: int) -> Float[Tensor, "{new} {side}"]:
    """The share of each of `new` intervals of equal length that each of `side` covers.

    >>> _overlap(3, 2).tolist()
    [[0.6666666865348816, 0.3333333432674408, 0.0], [0.0, 0.3333333432674408, 0.6666666865348816]]
    """
    ours = torch.arange(new + 1, dtype=torch.float64) / new
    theirs = torch.arange(side + 1, dtype=torch.float64) / side
    first = torch.maximum(ours[:-1, None], theirs[None, :-1])
    last = torch.minimum(ours[1:, None], theirs[None, 1:])
    return ((last - first).clamp(min=0) * new).float()
