"""Gradients averaged over the processes, bucket by bucket, while the backward pass still runs (DDP)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar, cast

from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from showtell.train.distributed import TIMEOUT

Result = TypeVar("Result")


class _Call(nn.Module):
    """A system whose forward pass is whatever it is given: a loss, or the vectors of a chunk."""

    def __init__(self, system: nn.Module) -> None:
        super().__init__()
        self.system = system

    def forward(self, compute: Callable[[], Result]) -> Result:
        return compute()


class DataParallel:
    """Runs forward passes of a system that every process holds whole.

    The gradients of an update's backward passes are summed in each process; the backward pass of its `last`
    forward pass averages them over the processes. A parameter that no process used keeps no gradient.

    Source: Li et al. 2020, "PyTorch Distributed: experiences on accelerating data parallel training".
    """

    def __init__(self, system: nn.Module) -> None:
        self._net = DistributedDataParallel(
            _Call(system),
            # A group of its own: where processes use different layers, their gradients are ready at different
            # points among the collectives of batch norm and contrastive losses.
            process_group=distributed.new_group(timeout=TIMEOUT),
            forward_sync_buffers=False,  # they are equal: batch norm is synchronised
            init_sync=False,  # done by `same_weights`
            find_unused_parameters=True,
        )

    def __call__(self, compute: Callable[[], Result], last: bool) -> Result:
        """`compute()`, a forward pass that returns tensors with a gradient."""
        with nullcontext() if last else self._net.no_sync():
            return cast(Any, self._net)(compute)


class Alone:
    """Stands in for `DataParallel` where there is one process, or where FSDP averages the gradients."""

    def __call__(self, compute: Callable[[], Result], last: bool) -> Result:
        """`compute()`."""
        return compute()
