"""Momentum teacher: an exponential moving average of a student, without gradients."""

from __future__ import annotations

import math
from copy import deepcopy

import torch
from torch import Tensor, nn


def cosine_momentum(step: int, total: int, start: float = 0.996) -> float:
    """The teacher's momentum at update `step`, from 0, of `total`.

        tau_k = 1 - (1 - tau_0) (cos(pi k / K) + 1) / 2

    It rises from `start` to 1 and stays there: the teacher no longer moves.

    Source: Grill et al. 2020, "Bootstrap your own latent", section 3.3.

    >>> cosine_momentum(0, 100), cosine_momentum(50, 100), cosine_momentum(100, 100)
    (0.996, 0.998, 1.0)
    """
    return 1 - (1 - start) * (math.cos(math.pi * min(step, total) / total) + 1) / 2


class Teacher(nn.Module):
    """A copy of `student` that follows it: `teacher <- tau * teacher + (1 - tau) * student`.

    Only parameters are averaged; the batch norm statistics are those of the teacher's own inputs.
    """

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.net = deepcopy(student).requires_grad_(False)

    @torch.no_grad()
    def forward(self, *inputs: Tensor) -> Tensor:
        """The teacher's output; no gradient flows through it."""
        return self.net(*inputs)

    @torch.no_grad()
    def follow(self, student: nn.Module, momentum: float) -> None:
        """Move towards the student with `momentum` (tau)."""
        slow, fast = ([p.detach() for p in net.parameters()] for net in (self.net, student))
        torch._foreach_lerp_(slow, fast, 1 - momentum)
