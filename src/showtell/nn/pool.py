"""Pooling: one vector per text from its tokens, also where several texts are packed into one row.

`positions` count each text's tokens from 0 (`TextBatch.positions`); None where each row is one text. The `T`
texts are in the order of the rows.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


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
