"""What stands on top of a tower."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.nn.feedforward import ACTIVATIONS, Activation


class Pooler(nn.Module):
    """One vector for the whole from its first token `x`: `tanh(W x)`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(width, width)

    def forward(self, first: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """`[B D]` to `[B D]`."""
        return self.project(first).tanh()


class MaskedLMHead(nn.Module):
    """Which word is hidden here: a small network, then the word embedding as the output layer.

    Give it the masked positions alone: the vocabulary is the dearest matrix product of the model.
    """

    def __init__(self, width: int, vocab_size: int, eps: float, activation: Activation = "gelu") -> None:
        super().__init__()
        self.project = nn.Linear(width, width)
        self.activation = ACTIVATIONS[activation]
        self.norm = nn.LayerNorm(width, eps)
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, tokens: Float[Tensor, "T D"], words: Float[Tensor, "V D"]) -> Float[Tensor, "T V"]:
        """`[T D]` and the word embedding `[V D]` to logits `[T V]`."""
        return F.linear(self.norm(self.activation(self.project(tokens))), words, self.bias)
