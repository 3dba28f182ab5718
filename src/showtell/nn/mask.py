"""Attention masks, all built by one function."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def attention_mask(
    keep: Bool[Tensor, "B N"] | None,
    *,
    queries: int,
    offset: int = 0,
    causal: bool = False,
    prefix: int = 0,
    segments: Int[Tensor, "B N"] | None = None,
    device: torch.device | str | None = None,
) -> Bool[Tensor, "#B 1 #Q N"] | None:
    """Which keys each query may attend to: `bool [B 1 Q N]`, True = may attend; None if all may.

    A query may attend to a key that is real (`keep [B N]`), in its own sequence (`segments [B N]`, for texts
    packed into one row) and, if `causal`, not later than the query or among the first `prefix` keys. The
    first query is at position `offset` of the keys; those before it are cached. Without `keep` and `segments`
    there are `offset + queries` keys, on `device`.

    >>> attention_mask(torch.tensor([[True, True, False]]), queries=3, causal=True).int().tolist()
    [[[[1, 0, 0], [1, 1, 0], [1, 1, 0]]]]
    >>> attention_mask(None, queries=3, causal=True, prefix=2).int().tolist()
    [[[[1, 1, 0], [1, 1, 0], [1, 1, 1]]]]
    """
    known = keep if keep is not None else segments
    mask = None if keep is None else keep[:, None, None]
    if segments is not None:
        together = (segments[:, offset : offset + queries, None] == segments[:, None])[:, None]
        mask = together if mask is None else mask & together
    size = offset + queries if known is None else known.shape[1]
    # The last token may attend to all before it, so decoding token by token needs no causal mask.
    if causal and offset + 1 < size:
        keys = torch.arange(size, device=device if known is None else known.device)
        earlier = (keys <= keys[offset : offset + queries, None]) | (keys < prefix)
        mask = earlier[None, None] if mask is None else mask & earlier
    return mask
