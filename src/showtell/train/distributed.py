"""The processes of a run under `torchrun`: their ranks, and what they exchange.

In a single process every function here returns its argument.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, distributed, nn

from showtell.errors import UserError
from showtell.progress import shown_by
from showtell.protocols import Step
from showtell.train.signals import StopRequest

Result = TypeVar("Result")
TIMEOUT = timedelta(days=7)
"""The first process may read and validate for hours; if it dies, torchrun ends the others."""


def count() -> int:
    """The number of processes that share the run."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """The rank of this process; rank 0 writes the files."""
    return distributed.get_rank() if distributed.is_initialized() else 0


@contextmanager
def joined(device: str) -> Iterator[str]:
    """The group of the processes that `torchrun` started; yields this process's own device.

    Inside, all processes but the first are quiet: they log errors alone, and their progress is not shown.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    if device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    backend = "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"
    distributed.init_process_group(backend, timeout=TIMEOUT)
    with quiet() if rank() else nullcontext():
        yield device
    distributed.destroy_process_group()


@contextmanager
def quiet() -> Iterator[None]:
    """Inside the block the package logs errors alone, and no progress is shown."""
    logger = logging.getLogger("showtell")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with shown_by(lambda what, done, total, note: None):
            yield
    finally:
        logger.setLevel(level)


def from_first(make: Callable[[], Result]) -> Result:
    """What the first process makes, in all processes. When it fails, all fail."""
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
    """`make()` in every process, in the first one before the others, which find the caches filled."""
    made: list[Result] = []
    from_first(lambda: made.append(make()))
    return made[0] if made else make()


def largest(number: int) -> int:
    """The maximum over the processes."""
    if count() == 1:
        return number
    tensor = torch.tensor(number)
    distributed.all_reduce(tensor, distributed.ReduceOp.MAX)
    return int(tensor)


def same_weights(system: nn.Module) -> None:
    """Broadcast the parameters and buffers of the first process to all."""
    if count() > 1:
        for tensor in system.state_dict().values():
            distributed.broadcast(tensor, 0)


def shared(step: Step, share: float) -> Step:
    """A process's losses, scaled so that their mean over the processes is the loss of the whole batch.

    Each is a mean over the items of this process (the fraction `share` of the batch), or over the number of
    terms in `step.counts`.
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


def gathered(carry: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The rows of all processes, concatenated, without gradients; their numbers may differ."""
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
