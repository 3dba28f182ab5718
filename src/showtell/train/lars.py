"""LARS: steps in proportion to the norm of each layer's parameters, for very large batches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class LARS(Optimizer):
    """SGD with momentum and a learning rate per tensor:

        trust = eta |w| / (|g| + beta |w|)          beta: weight decay;  1 where |w| or |g| is 0
        v <- m v + rate * trust * (g + beta w)
        w <- w - v

    Groups with `adapt=False` (biases and gains) have `trust = 1`.

    Source: You et al. 2017, "Large batch training of convolutional networks", algorithm 1; eta as in the
    code of SimCLR and BYOL.
    """

    def __init__(
        self, groups: Iterable[dict[str, Any]], lr: float, momentum: float = 0.9, eta: float = 1e-3
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "eta": eta, "weight_decay": 0.0, "adapt": True}
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            if not weights:
                continue
            gradients: list[Tensor] = [p.grad for p in weights]
            moves = torch._foreach_add(gradients, weights, alpha=group["weight_decay"])
            if group["adapt"]:
                pairs = zip(weights, gradients, strict=True)
                torch._foreach_mul_(moves, [_trust(w, g, group) for w, g in pairs])
            for weight in weights:
                if weight not in self.state:
                    self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
            velocities = [self.state[w]["momentum_buffer"] for w in weights]
            torch._foreach_mul_(velocities, group["momentum"])
            torch._foreach_add_(velocities, moves, alpha=group["lr"])
            torch._foreach_sub_(weights, velocities)


def _trust(weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
    size, slope = weight.norm(), gradient.norm()
    trust = group["eta"] * size / (slope + group["weight_decay"] * size)
    return torch.where((size > 0) & (slope > 0), trust, 1.0)
