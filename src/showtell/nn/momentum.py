"""A slow teacher: the moving average of a student, moved by no gradient."""

from __future__ import annotations

import math
from copy import deepcopy

import torch
from torch import Tensor, nn


def cosine_momentum(step: int, total: int, start: float = 0.996) -> float:
    """How much of itself the teacher keeps at update `step`, counted from 0, of `total`.

        tau_k = 1 - (1 - tau_0) (cos(pi k / K) + 1) / 2

    It rises from `start` to 1, where the teacher rests; after `total` it stays there.

    Source: Grill et al. 2020, "Bootstrap your own latent", section 3.3.

    >>> cosine_momentum(0, 100), cosine_momentum(50, 100), cosine_momentum(100, 100)
    (0.996, 0.998, 1.0)
    """
    return 1 - (1 - start) * (math.cos(math.pi * min(step, total) / total) + 1) / 2


class Teacher(nn.Module):
    """A copy of `student` that follows it: teacher <- tau * teacher + (1 - tau) * student.

    Weights alone are averaged. Running statistics of batch norm are the teacher's own, of what it saw.
    """

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.net = deepcopy(student).requires_grad_(False)

    @torch.no_grad()
    def forward(self, *inputs: Tensor) -> Tensor:
        """What the student's slow copy computes; no gradient flows into it or through it."""
        return self.net(*inputs)

    @torch.no_grad()
    def follow(self, student: nn.Module, momentum: float) -> None:
        """Move towards the student, keeping the share `momentum` (tau) of the old weights."""
        slow, fast = ([p.detach() for p in net.parameters()] for net in (self.net, student))
        torch._foreach_lerp_(slow, fast, 1 - momentum)
