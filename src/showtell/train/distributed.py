"""Several processes under `torchrun`: which one this is, and what all of them agree on.

With one process every function here returns what it was given.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr
from datetime import timedelta
from io import StringIO
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, distributed, nn
from torch.distributed.tensor import DTensor

from showtell.errors import UserError
from showtell.protocols import Step
from showtell.train.signals import StopRequest

Result = TypeVar("Result")
BUCKET = 2**25
"""Numbers that are summed over the processes in one message, if no parameter has more."""


def count() -> int:
    """How many processes share the run."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """The number of this process; 0 is the one that writes."""
    return distributed.get_rank() if distributed.is_initialized() else 0


@contextmanager
def joined(device: str) -> Iterator[str]:
    """Meet the processes that `torchrun` started with this one; yields the device that is its own.

    The first one alone says what it does on standard error.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    if device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    backend = "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"
    # The first process may read and validate for hours; if it dies, torchrun ends the others.
    distributed.init_process_group(backend, timeout=timedelta(days=7))
    with redirect_stderr(StringIO()) if rank() else nullcontext():
        yield device
    distributed.destroy_process_group()


def from_first(make: Callable[[], Result]) -> Result:
    """What the first process makes, in all of them. When it fails, all fail."""
    if count() == 1:
        return make()
    box: list[Any] = [None, None]
    if rank() == 0:
        try:
            box[0] = make()
        except BaseException as error:
            box[1] = (isinstance(error, StopRequest), str(error))
            raise
        finally:
            distributed.broadcast_object_list(box)
    else:
        distributed.broadcast_object_list(box)
        if box[1]:
            stopped, failure = box[1]
            raise StopRequest if stopped else UserError(f"the first process failed: {failure}")
    return cast(Result, box[0])


def first_first(make: Callable[[], Result]) -> Result:
    """`make()` in every process, but in the first one first: the others find the caches filled."""
    made: list[Result] = []
    from_first(lambda: made.append(make()))
    return made[0] if made else make()


def largest(number: int) -> int:
    """The largest that any process has."""
    if count() == 1:
        return number
    tensor = torch.tensor(number)
    distributed.all_reduce(tensor, distributed.ReduceOp.MAX)
    return int(tensor)


def same_weights(system: nn.Module) -> None:
    """Give every process the weights and buffers of the first."""
    if count() > 1:
        for tensor in system.state_dict().values():
            distributed.broadcast(tensor, 0)


def shared(step: Step, share: float) -> Step:
    """A process's losses, weighed so that their mean over the processes is the loss of the whole batch.

    Each is a mean over the items of this process, `share` of all items, or over as many terms as
    `step.counts` says.
    """
    if unknown := step.counts.keys() - step.losses.keys():
        raise ValueError(f"counts of losses that are not there: {sorted(unknown)}")
    if count() == 1:
        return step
    weights = dict.fromkeys(step.losses, share * count())
    if step.counts:
        device = next(iter(step.losses.values())).device
        own = torch.stack([torch.as_tensor(n, device=device).double() for n in step.counts.values()])
        total = own.clone()
        distributed.all_reduce(total)
        weights |= dict(zip(step.counts, count() * own / total.clamp(min=1), strict=True))
    return Step({n: loss * weights[n] for n, loss in step.losses.items()}, step.carry, step.counts)


def mean(tensor: Tensor) -> Tensor:
    """The mean over the processes."""
    if count() == 1:
        return tensor
    distributed.all_reduce(tensor := tensor.clone())
    return tensor / count()


def average_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Give every process the mean of the gradients; one that no process has stays None.

    Those of sharded parameters are averaged already, on their way.
    """
    if count() == 1:
        return
    whole = [p for p in parameters if not isinstance(p, DTensor)]
    has = torch.tensor([p.grad is not None for p in whole], dtype=torch.uint8)
    distributed.all_reduce(has, distributed.ReduceOp.MAX)
    live = [p for p, somewhere in zip(whole, has.tolist(), strict=True) if somewhere]
    for parameter in live:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    gradients = [p.grad for p in live if p.grad is not None]
    for bucket in _buckets(gradients):
        flat = torch.cat([g.flatten() for g in bucket])
        distributed.all_reduce(flat)
        flat /= count()
        pieces = flat.split([g.numel() for g in bucket])
        torch._foreach_copy_(bucket, [p.view_as(g) for p, g in zip(pieces, bucket, strict=True)])


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours, as many as fit into a message."""
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        if bucket and size + tensor.numel() > BUCKET:
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.numel()
    if bucket:
        yield bucket


def gathered(carry: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The rows of every process end to end, without gradients; each may have another number of them."""
    if count() == 1:
        return dict(carry)
    return {name: _rows(tensor) for name, tensor in carry.items()}


def _rows(tensor: Tensor) -> Tensor:
    lengths = [torch.tensor(0) for _ in range(count())]
    distributed.all_gather(lengths, torch.tensor(len(tensor)))
    longest = int(max(lengths))
    filled = torch.cat([tensor, tensor.new_zeros(longest - len(tensor), *tensor.shape[1:])])
    parts = [torch.empty_like(filled) for _ in range(count())]
    distributed.all_gather(parts, filled)
    return torch.cat([part[: int(n)] for part, n in zip(parts, lengths, strict=True)])
