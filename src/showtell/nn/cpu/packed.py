"""Prepacked linear layers for inference on a CPU.

A matrix product on a CPU first copies the weights into blocks of the size of its registers; for few rows that
costs as much as the product. Packing once, with the activation fused into the product, takes less time for an
image or a text at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from showtell.nn.fastest import has_onednn
from showtell.nn.feedforward import ACTIVATIONS, MLP
from showtell.nn.linear import Linear

ROWS = 64
"""Rows that the layout is chosen for: the tokens of an image or of a few texts."""
FUSED: dict[Callable[[Tensor], Tensor], tuple[tuple[str, str], float]] = {
    ACTIVATIONS["gelu"]: (("gelu", "none"), 1.0),
    ACTIVATIONS["gelu_tanh"]: (("gelu", "tanh"), 1.0),
    ACTIVATIONS["relu"]: (("relu", ""), 1.0),
    ACTIVATIONS["quick_gelu"]: (("swish", ""), 1.702),
}
"""The fused name of each activation and its slope `a`: `x s(ax) = swish(ax) / a`, so the weights before it
are multiplied by `a`, those after it by `1 / a`."""


def pack(module: nn.Module) -> None:
    """Give every linear layer of a module on the CPU a second, packed copy of its weights, in place.

    Nothing changes where gradients are recorded or this build of torch cannot pack. Weights that change are
    packed again.
    """
    if not has_onednn():
        return
    for name, child in module.named_children():
        if isinstance(child, MLP) and child.activation in FUSED:
            setattr(module, name, PackedMLP(child))
        elif type(child) is nn.Linear or type(child) is Linear:
            setattr(module, name, PackedLinear(child))
        else:
            pack(child)


class PackedLinear(Linear):
    """A linear layer that shares the weights of another, with a fused `activation` when packed."""

    def __init__(
        self,
        linear: nn.Linear,
        activation: tuple[str, str] = ("none", ""),
        weight_scale: float = 1.0,
        bias_scale: float = 1.0,
    ) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias
        self.activation, self.weight_scale, self.bias_scale = activation, weight_scale, bias_scale
        self._versions: tuple[int, ...] = ()
        self._packed: tuple[Any, Tensor | None] = (None, None)

    def __getstate__(self) -> dict[str, Any]:
        """Without the packed weights, which torch cannot copy; a copy packs its own."""
        return self.__dict__ | {"_versions": (), "_packed": (None, None)}

    def forward(self, tokens: Float[Tensor, "*B I"]) -> Float[Tensor, "*B O"]:
        """The layer that can be trained where gradients are recorded; else the packed one."""
        if plain(tokens):
            return super().forward(tokens)
        parameters = (self.weight,) if self.bias is None else (self.weight, self.bias)
        versions = tuple(p._version for p in parameters)
        if versions != self._versions:
            weight = torch.ops.mkldnn._reorder_linear_weight(self.weight * self.weight_scale, ROWS)
            self._packed = weight, None if self.bias is None else self.bias * self.bias_scale
            self._versions = versions
        weight, bias = self._packed
        name, algorithm = self.activation
        return torch.ops.mkldnn._linear_pointwise(tokens, weight, bias, name, [], algorithm)


class PackedMLP(MLP):
    """An `MLP` whose activation is fused into its first product."""

    def __init__(self, mlp: MLP) -> None:
        nn.Module.__init__(self)
        self.activation = mlp.activation
        fused, slope = FUSED[mlp.activation]
        self.up = PackedLinear(mlp.up, fused, slope, slope)
        self.down = PackedLinear(mlp.down, weight_scale=1 / slope)

    def forward(self, tokens: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """`[... D]` to `[... D]`."""
        return super().forward(tokens) if plain(tokens) else self.down(self.up(tokens))


def plain(tokens: Tensor) -> bool:
    """Whether the plain layers compute: packed ones have no gradients and are float32 on a CPU."""
    return torch.is_grad_enabled() or tokens.dtype != torch.float32 or tokens.device.type != "cpu"
