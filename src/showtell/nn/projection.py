"""From frozen features into a shared space: standardised, then a linear map beside a hidden layer."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.nn.linear import Linear


class Standardise(nn.Module):
    """`(r(x) - m) / s`, mean and deviation over the training data; `r` is the identity or a signed root.

    A root brings activations that are mostly small, as those after ReLU, nearer to a bell.
    Source: Perronnin et al. 2010, "Improving the Fisher Kernel", section 3.2.
    """

    def __init__(self, width: int, *, root: bool) -> None:
        super().__init__()
        self.root = root
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

    @torch.no_grad()
    def fit(self, vectors: Float[Tensor, "R D"]) -> None:
        """Take mean and deviation from vectors of the training data."""
        rooted = self._rooted(vectors)
        self.mean.copy_(rooted.mean(0))
        self.deviation.copy_(rooted.std(0) + 1e-3)

    def forward(self, vectors: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """`[... D]` to `[... D]`."""
        return (self._rooted(vectors) - self.mean) / self.deviation

    def _rooted(self, vectors: Tensor) -> Tensor:
        return vectors.sign() * vectors.abs().sqrt() if self.root else vectors


class BesideHidden(nn.Module):
    """`W x + b + W2 dropout(gelu(W1 x))`."""

    def __init__(self, width: int, hidden_width: int, width_out: int, dropout: float) -> None:
        super().__init__()
        self.linear = Linear(width, width_out)
        self.up, self.down = Linear(width, hidden_width), Linear(hidden_width, width_out)
        self.dropout = nn.Dropout(dropout)

    def forward(self, vectors: Float[Tensor, "*B D"]) -> Float[Tensor, "*B E"]:
        """`[... D]` to `[... E]`."""
        return self.linear(vectors) + self.down(self.dropout(F.gelu(self.up(vectors))))
