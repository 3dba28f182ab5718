"""Attention as a heat map: of a caption's tokens over an image, and of an image encoder by rollout.

    rollout:  R_0 = I,  R_l = (A_l / 2 + I / 2) R_{l-1},  A_l the mean over the heads of layer l

The row of R that the pooled vector comes from says how much of each patch reaches it. Attention says where a
model looks, not what its answer depends on: compare the deletion curves of both methods.

Source: Xu et al. 2015, "Show, Attend and Tell", section 5.4; Abnar & Zuidema 2020, "Quantifying Attention
Flow in Transformers", section 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def rollout(
    maps: Sequence[Float[Tensor, "1 H Q N"]], patches: int, *, pooled_first: bool
) -> Float[Tensor, " P"] | None:
    """The share of each of the `P` patches in the vector of one image; None without attention.

    `maps` are those of all layers, watched in order; other tokens stand before the patches. A last map with a
    single query is the pooling; without it the first token is the vector, or the mean of the patches.
    """
    flow = None
    for attention in maps:
        mean = attention[0].mean(0)
        same = torch.eye(mean.shape[-1], dtype=mean.dtype, device=mean.device)
        if len(mean) == len(same):
            mean = (mean + same) / 2
        flow = mean @ (same if flow is None else flow)
    if flow is None:
        return None
    first = flow.shape[1] - patches
    row = flow[0] if len(flow) == 1 or pooled_first else flow[first:].mean(0)
    return row[first:]


def over_image(maps: Sequence[Tensor], tokens: int, patches: int) -> Float[Tensor, "T N"] | None:
    """The attention of each of a caption's `tokens` over the `patches` of its image, `[T N]`, or None.

    `maps` are watched during teacher forcing of one caption: `[1 K N]` per token of a recurrent decoder, or
    `[1 H T N]` per layer of a transformer, of which the mean over heads and layers is taken. Its causal
    attention among the tokens themselves is left out.
    """
    found = [weights[0] for weights in maps if weights.shape[-1] == patches]
    by_layer = [w.mean(0) for w in found if w.ndim == 3 and w.shape[1] == tokens and not _causal(w)]
    if by_layer:
        return torch.stack(by_layer).mean(0)
    by_token = [w for w in found if w.ndim == 2]
    return torch.cat(by_token) if len(by_token) == tokens else None


def grid_of(heat: Float[Tensor, "*T N"], height: int, width: int) -> Float[Tensor, "*T rows columns"] | None:
    """Patches row by row as the grid of an image of this shape; None where they do not fill one.

    >>> grid_of(torch.arange(4.0), 9, 9).tolist(), grid_of(torch.zeros(8), 2, 4).shape
    ([[0.0, 1.0], [2.0, 3.0]], torch.Size([2, 4]))
    """
    count = heat.shape[-1]
    rows = round(math.sqrt(count * height / width))
    return heat.unflatten(-1, (rows, -1)) if rows and count * height == rows**2 * width else None


def above_even(heat: Float[Tensor, "*T rows columns"]) -> Float[Tensor, "*T rows columns"]:
    """Attention above an even share for each patch, which is what a map is drawn of; 0 elsewhere.

    >>> above_even(torch.tensor([[0.25, 0.25], [0.0, 0.5]])).tolist()
    [[0.0, 0.0], [0.0, 0.25]]
    """
    return (heat - heat.mean((-2, -1), keepdim=True)).clamp(min=0)


def _causal(weights: Float[Tensor, "H T N"]) -> bool:
    return weights.shape[1] == weights.shape[2] and not weights.triu(1).any()
