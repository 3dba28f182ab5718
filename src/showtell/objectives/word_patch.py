"""Word-patch alignment (WPA): the cost of transporting a text's words to its image's patches.

    C_ij = 1 - cos(w_i, v_j),    D = min_T sum_ij T_ij C_ij,    T 1 = 1/L,    T' 1 = 1/N

`T` is found by IPOT, a proximal point method, and gets no gradient; words and patches do, through `C`.
Source: Chen et al. 2020, "UNITER", section 3.2 and appendix A.2; Xie et al. 2020, "A fast proximal point
method for computing exact Wasserstein distance", algorithm 1.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F


def word_patch(
    words: Float[Tensor, "R L D"],
    patches: Float[Tensor, "R N D"],
    keep_words: Bool[Tensor, "R L"],
    keep_patches: Bool[Tensor, "R N"],
    matched: Bool[Tensor, " R"],
) -> Float[Tensor, ""]:
    """Mean over the pairs of the distance, negative where the pair does not match.

    The papers' formula has matching pairs alone; that others are pushed apart is the released code of both.
    """
    cost = 1 - F.normalize(words.float(), dim=2) @ F.normalize(patches.float(), dim=2).transpose(1, 2)
    plan = transport(cost.detach(), keep_words, keep_patches)
    distance = (cost * plan).sum((1, 2))
    return torch.where(matched, distance, -distance).mean()


@torch.no_grad()
def transport(
    cost: Float[Tensor, "R L N"],
    keep_rows: Bool[Tensor, "R L"],
    keep_columns: Bool[Tensor, "R N"],
    beta: float = 0.5,
    iterations: int = 50,
) -> Float[Tensor, "R L N"]:
    """The transport plan of each cost by IPOT: real rows sum to `1/L`, real columns to `1/N`, padding to 0.

    >>> plan = transport(1 - torch.eye(2)[None], *[torch.ones(1, 2, dtype=torch.bool)] * 2)
    >>> plan.round(decimals=3).tolist()
    [[[0.5, 0.0], [0.0, 0.5]]]
    """
    rows, columns = keep_rows.to(cost.dtype), keep_columns.to(cost.dtype)
    row_mass = rows / rows.sum(1, keepdim=True).clamp(min=1)
    column_mass = columns / columns.sum(1, keepdim=True).clamp(min=1)
    real = rows[:, :, None] * columns[:, None]
    kernel, plan = (-cost / beta).exp() * real, real
    v = column_mass
    for _ in range(iterations):
        proximal = kernel * plan
        u = row_mass / _positive(proximal @ v[..., None])
        v = column_mass / _positive(proximal.transpose(1, 2) @ u[..., None])
        plan = u[..., None] * proximal * v[:, None]
    return plan


def _positive(column: Tensor) -> Tensor:
    """`[R L 1]` as a divisor `[R L]`: padding, whose sum is 0, is divided by a tiny number instead."""
    return column[..., 0].clamp(min=torch.finfo(column.dtype).tiny)
