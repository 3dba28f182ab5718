"""The feed-forward network of a transformer block, its activations, and LayerScale."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.nn.linear import Linear

Activation = Literal["gelu", "gelu_tanh", "quick_gelu", "relu", "swiglu", "geglu", "geglu_tanh"]


def _gated(x: Tensor, gate: Callable[[Tensor], Tensor]) -> Tensor:
    gates, values = x.chunk(2, -1)
    return gate(gates) * values


def _quick_gelu(x: Tensor) -> Tensor:
    return F.silu(1.702 * x) / 1.702  # x * sigmoid(1.702 x), with a cheaper gradient


ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "quick_gelu": _quick_gelu,
    "relu": F.relu,
    "swiglu": partial(_gated, gate=F.silu),
    "geglu": partial(_gated, gate=F.gelu),
    "geglu_tanh": partial(_gated, gate=partial(F.gelu, approximate="tanh")),
}
GATED: tuple[Activation, ...] = ("swiglu", "geglu", "geglu_tanh")


class MLP(nn.Module):
    """`W_2 f(W_1 x)`, `f` the activation.

    With those that are `GATED`, half of the hidden width gates the other half: `W_2 (silu(W_g x) * W_1 x)`
    (Shazeer 2020, "GLU Variants Improve Transformer", equation 6).
    """

    def __init__(self, width: int, mlp_dim: int, activation: Activation, *, bias: bool = True) -> None:
        super().__init__()
        self.up = Linear(width, 2 * mlp_dim if activation in GATED else mlp_dim, bias)
        self.down = Linear(mlp_dim, width, bias)
        self.activation = ACTIVATIONS[activation]

    def forward(self, tokens: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """`[... D]` to `[... D]`."""
        return self.down(self.activation(self.up(tokens)))


class LayerScale(nn.Module):
    """A learned gain per channel, small at first, so that a deep stack starts as the identity.

    Source: Touvron et al. 2021, "Going deeper with Image Transformers", section 2.
    """

    def __init__(self, width: int, value: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((width,), value))

    def forward(self, tokens: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """`[... D]` to `[... D]`."""
        return tokens * self.scale
