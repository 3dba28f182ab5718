"""A system sharded over the processes: each holds a part of every parameter, gradient and moment (FSDP2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from showtell.train.distributed import count

Module = TypeVar("Module", bound=nn.Module)


def shard(system: Module, device: torch.device) -> Module:
    """A copy of `system`, sharded over all processes; each block of a stack is gathered when it computes.

    Source: Zhao et al. 2023, "PyTorch FSDP".
    """
    copy = deepcopy(system)
    mesh = init_device_mesh(device.type, (count(),))
    scalars = {p for p in copy.parameters() if p.ndim == 0}  # nothing to shard
    uses = Counter(p for _, p in copy.named_parameters(remove_duplicate=False))
    for stack in reversed([m for m in copy.modules() if isinstance(m, nn.ModuleList)]):
        for block in stack:
            if all(uses[p] == 1 for p in block.parameters()):  # shared parameters are sharded with the whole
                fully_shard(block, mesh=mesh, ignored_params=scalars)
    fully_shard(copy, mesh=mesh, ignored_params=scalars)
    return copy.to(device)


def average_scalars(parameters: Sequence[nn.Parameter]) -> None:
    """Average over the processes the gradients of scalars, which are not sharded."""
    scalars = [p for p in parameters if not isinstance(p, DTensor)]
    if not scalars:
        return
    gradients = torch.stack([p.new_zeros(()) if p.grad is None else p.grad for p in scalars])
    used = torch.stack([torch.tensor(p.grad is not None, device=p.device) for p in scalars]).to(torch.uint8)
    distributed.all_reduce(gradients)
    distributed.all_reduce(used, distributed.ReduceOp.MAX)
    for parameter, gradient, somewhere in zip(scalars, gradients / count(), used.tolist(), strict=True):
        if somewhere:
            parameter.grad = gradient


def full(tensor: Tensor) -> Tensor:
    """The full tensor, in every process. All of them must call this."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


@torch.no_grad()
def put(target: Tensor, value: Tensor) -> None:
    """Copy a full tensor into one that may be sharded."""
    if isinstance(target, DTensor):
        value = distribute_tensor(value.to(target.device), target.device_mesh, target.placements)
    target.copy_(value)
