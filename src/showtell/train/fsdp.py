"""A system divided among the processes: each holds a part of every weight, gradient and moment (FSDP)."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from showtell.train.distributed import count

Module = TypeVar("Module", bound=nn.Module)


def divided(system: Module, device: torch.device) -> Module:
    """A copy of `system`, divided among all processes; each block of a stack is made whole when it computes.

    Source: Zhao et al. 2023, "PyTorch FSDP".
    """
    copy = deepcopy(system)
    mesh = init_device_mesh(device.type, (count(),))
    scalars = {p for p in copy.parameters() if p.ndim == 0}  # nothing to divide
    uses = Counter(p for _, p in copy.named_parameters(remove_duplicate=False))
    for stack in reversed([m for m in copy.modules() if isinstance(m, nn.ModuleList)]):
        for block in stack:
            if all(uses[p] == 1 for p in block.parameters()):  # what is shared goes with the whole
                fully_shard(block, mesh=mesh, ignored_params=scalars)
    fully_shard(copy, mesh=mesh, ignored_params=scalars)
    return copy.to(device)


def whole(tensor: Tensor) -> Tensor:
    """A tensor that all processes hold whole. All of them must ask."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


@torch.no_grad()
def put(target: Tensor, value: Tensor) -> None:
    """Copy a whole tensor into one that may be divided."""
    if isinstance(target, DTensor):
        value = distribute_tensor(value.to(target.device), target.device_mesh, target.placements)
    target.copy_(value)
