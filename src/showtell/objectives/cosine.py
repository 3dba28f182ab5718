"""Cosines of all pairs of two sets of vectors."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def all_cosines(x: Float[Tensor, "N D"], y: Float[Tensor, "M D"]) -> Float[Tensor, "N M"]:
    """Of vectors of length 1, in float32 or better under autocast too.

    A bf16 number near 1 is rounded to steps of 0.004: a fiftieth of VSE's margin, and more than what tells
    an image from its hardest negative early in training.

    >>> with torch.autocast("cpu", torch.bfloat16):
    ...     all_cosines(torch.ones(1, 1), torch.full((1, 1), 0.999)).item()
    0.9990000128746033
    """
    dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
    with torch.autocast(x.device.type, enabled=False):
        return x.to(dtype) @ y.to(dtype).T
