"""Normalisation by the root mean square."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class RMSNorm(nn.RMSNorm):
    """`w x / sqrt(mean(x^2) + eps)` (Zhang and Sennrich 2019), which stays in bf16 under autocast.

    torch's own has no fused kernel for an input and a weight of different precisions, and warns of it.
    """

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """`[... D]` to `[... D]`."""
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)
