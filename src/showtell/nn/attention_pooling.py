"""Attention pooling: one vector for all tokens, from a learned query."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from showtell.nn.attention import Attention
from showtell.nn.feedforward import MLP, Activation


class AttentionPooling(nn.Module):
    """`y = attention(probe, tokens)`, `z = y + mlp(norm(y))`.

    Source: Zhai et al. 2022, "Scaling Vision Transformers" (multihead attention pooling), after Lee et al.
    2019, "Set Transformer", section 3.2.
    """

    def __init__(
        self, width: int, num_heads: int, mlp_dim: int, *, activation: Activation, eps: float
    ) -> None:
        super().__init__()
        self.probe = nn.Parameter(nn.init.normal_(torch.empty(width), std=0.02))
        self.attention = Attention(width, num_heads)
        self.norm = nn.LayerNorm(width, eps)
        self.mlp = MLP(width, mlp_dim, activation)

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B D"]:
        """`[B N D]` to `[B D]`."""
        query = self.probe.expand(len(tokens), 1, -1)
        pooled = self.attention(query, context=tokens)[:, 0]
        return pooled + self.mlp(self.norm(pooled))
