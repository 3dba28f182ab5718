"""Low-rank adaptation: a frozen matrix and a trained correction of low rank.

    W' = W + (alpha / r) B A              W [O I] frozen,  B [O r],  A [r I]

`B` starts at zero, so training starts at the pretrained model.

Source: Hu et al. 2021, "LoRA: Low-rank adaptation of large language models", section 4.1, equation 3. A
departure: `W'` is computed as one matrix, so that every layer that reads a `weight` can be adapted, where the
paper adds `B A x` to `W x`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import (
    ParametrizationList,
    is_parametrized,
    register_parametrization,
    remove_parametrizations,
)


class LowRank(nn.Module):
    """The correction of one matrix `[O I]`, as a parametrisation of it."""

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        rows, columns = weight.shape
        self.rank, self.alpha = rank, alpha
        # Gaussian, as in the paper; its deviation, which the paper leaves open, keeps the norm of an input.
        self.a = nn.Parameter(torch.randn(rank, columns, device=weight.device) / columns**0.5)
        self.b = nn.Parameter(torch.zeros(rows, rank, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        """`W + (alpha / r) B A`."""
        return torch.addmm(weight, self.b, self.a, alpha=self.alpha / self.rank)


def add_lora(module: nn.Module, layers: Iterable[str], rank: int = 8, alpha: float = 16.0) -> None:
    """Freeze a module and add a low-rank correction to the named linear layers, in place.

    Raises `ValueError` for a name that is not a linear layer's.
    """
    module.requires_grad_(False)
    known = dict(module.named_modules())
    for name in layers:
        layer = known.get(name)
        if not isinstance(layer, nn.Linear) or is_parametrized(layer):
            raise ValueError(f"{name!r} is not a linear layer of {type(module).__name__}")
        register_parametrization(layer, "weight", LowRank(layer.weight, rank, alpha))


def lora_layers(module: nn.Module) -> dict[str, LowRank]:
    """The corrections inside a module, by the name of the layer that has one."""
    return {
        name: part
        for name, layer in module.named_modules()
        if is_parametrized(layer, "weight")
        for part in cast(ParametrizationList, cast(nn.ModuleDict, layer.parametrizations)["weight"])
        if isinstance(part, LowRank)
    }


def lora_tensors(module: nn.Module) -> dict[str, Tensor]:
    """`A` and `B` of each correction, as `layer.a` and `layer.b`."""
    parts = lora_layers(module).items()
    return {f"{name}.{kind}": getattr(part, kind).detach() for name, part in parts for kind in ("a", "b")}


def merge_lora(module: nn.Module) -> None:
    """Replace each corrected matrix by its sum `W'`, in place: the same outputs, without extra layers."""
    known = dict(module.named_modules())
    for name in lora_layers(module):
        remove_parametrizations(known[name], "weight", leave_parametrized=True)
