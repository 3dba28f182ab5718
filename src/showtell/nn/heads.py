"""Heads: pooler, masked language modelling, and the projectors of two-view losses."""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from showtell.nn.feedforward import ACTIVATIONS, Activation
from showtell.nn.linear import Linear, linear


class Pooler(nn.Module):
    """`tanh(W x)` of the first token `x`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = Linear(width, width)

    def forward(self, first: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """`[B D]` to `[B D]`."""
        return self.project(first).tanh()


class MaskedLMHead(nn.Module):
    """Logits of masked tokens: `norm(f(W x))` times the token embedding, plus a bias per token.

    Give it the masked positions alone: this is the most expensive matrix product of the model.
    """

    def __init__(self, width: int, vocab_size: int, eps: float, activation: Activation = "gelu") -> None:
        super().__init__()
        self.project = Linear(width, width)
        self.activation = ACTIVATIONS[activation]
        self.norm = nn.LayerNorm(width, eps)
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, tokens: Float[Tensor, "T D"], embeddings: Float[Tensor, "V D"]) -> Float[Tensor, "T V"]:
        """Tokens `[T D]` and the token embedding `[V D]` to logits `[T V]`."""
        return linear(self.norm(self.activation(self.project(tokens))), embeddings, self.bias)


def batch_norm_mlp(*widths: int, bias: bool = False) -> nn.Sequential:
    """Linear layers from `widths[0]` to `widths[-1]`, with batch norm and ReLU between them.

    `bias` is that of the last layer; the others have none, since the batch norm after them would cancel it.

    >>> [type(layer).__name__ for layer in batch_norm_mlp(8, 16, 4)]
    ['Linear', 'BatchNorm1d', 'ReLU', 'Linear']
    """
    layers: list[nn.Module] = []
    for width_in, width in pairwise(widths[:-1]):
        layers += [Linear(width_in, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, Linear(widths[-2], widths[-1], bias=bias))
