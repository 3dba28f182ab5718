"""Pooling: one vector per text from its tokens, also where several texts are packed into one row.

`positions` count each text's tokens from 0 (`TextBatch.positions`); None where each row is one text. The `T`
texts are in the order of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Pooling = Literal["first", "max", "mean", "mean_sqrt", "weighted_mean", "last"]
"""`mean_sqrt` divides the sum by the square root of the number of tokens; `weighted_mean` weighs the first
token by 1, the second by 2, and so on (Muennighoff 2022, "SGPT", section 3.1)."""


def pool(
    modes: Sequence[Pooling],
    tokens: Float[Tensor, "R L D"],
    keep: Bool[Tensor, "R L"] | None,
    positions: Int[Tensor, "R L"] | None,
) -> Float[Tensor, "T E"]:
    """One vector per text; those of several modes side by side, in their order."""
    vectors = [_pool(mode, tokens, keep, positions) for mode in modes]
    return vectors[0] if len(vectors) == 1 else torch.cat(vectors, -1)


def _pool(mode: Pooling, tokens: Tensor, keep: Tensor | None, positions: Tensor | None) -> Tensor:
    if mode == "first":
        return first_token(tokens, keep, positions)
    if mode == "mean":
        return mean_token(tokens, keep, positions)
    if keep is None:
        keep = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
    if mode == "last":
        return last_token(tokens, keep, positions)
    real, text, place = tokens[keep], *_places(keep, positions)
    texts = len(keep) if positions is None else int(((positions == 0) & keep).sum())
    if mode == "max":
        lowest = real.new_full((texts, real.shape[1]), -torch.inf)
        return lowest.scatter_reduce(0, text[:, None].expand_as(real), real, "amax")
    weights = (place + 1 if mode == "weighted_mean" else torch.ones_like(place)).to(real.dtype)[:, None]
    total = real.new_zeros(texts, real.shape[1]).index_add(0, text, real * weights)
    weight = real.new_zeros(texts, 1).index_add(0, text, weights)
    return total / (weight if mode == "weighted_mean" else weight.sqrt())


def _places(keep: Tensor, positions: Tensor | None) -> tuple[Tensor, Tensor]:
    """Of each real token, `[K]`: which text it is of, and its position there."""
    if positions is not None:
        return ((positions == 0) & keep)[keep].cumsum(0) - 1, positions[keep]
    row, place = keep.nonzero(as_tuple=True)
    return row, place


def first_token(
    tokens: Float[Tensor, "R L D"], keep: Bool[Tensor, "R L"] | None, positions: Int[Tensor, "R L"] | None
) -> Float[Tensor, "T D"]:
    """The first token of each text."""
    if positions is None:
        return tokens[:, 0]
    begins = positions == 0
    return tokens[begins if keep is None else begins & keep]


def last_token(
    tokens: Float[Tensor, "R L D"], keep: Bool[Tensor, "R L"], positions: Int[Tensor, "R L"] | None
) -> Float[Tensor, "T D"]:
    """The last real token of each text; padding is on the right."""
    continues = keep.roll(-1, 1)
    continues[:, -1] = False
    if positions is not None:
        continues &= positions.roll(-1, 1) != 0
    return tokens[keep & ~continues]


def mean_token(
    tokens: Float[Tensor, "R L D"], keep: Bool[Tensor, "R L"] | None, positions: Int[Tensor, "R L"] | None
) -> Float[Tensor, "T D"]:
    """The mean over the real tokens of each text."""
    if keep is None:
        keep = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
    if positions is None:
        return (tokens * keep[..., None]).sum(1) / keep.sum(1, keepdim=True).clamp(min=1)
    text = ((positions == 0) & keep)[keep].cumsum(0) - 1
    counts = text.bincount()
    return tokens.new_zeros(len(counts), tokens.shape[2]).index_add(0, text, tokens[keep]) / counts[:, None]
