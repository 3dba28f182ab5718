"""All-gather over the processes of `torch.distributed`, with gradients."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, distributed


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        rows = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
        distributed.all_gather(rows, own.contiguous())
        return torch.stack(rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(gradient)
        return gradient[distributed.get_rank()]


def gather(own: Tensor) -> Tensor:
    """`[...]` of each of `P` processes to `[P ...]` in all of them; the shapes must be equal.

    In the backward pass a process receives the sum over all processes of the gradients of its part. (Torch's
    own function for this is deprecated, and its successor is private.)
    """
    return cast(Tensor, _Gathered.apply(own))
