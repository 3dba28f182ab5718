"""Many rows in the memory of a few: the activations of chunks are computed again for the gradient."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from showtell.protocols import Trainable


@runtime_checkable
class ComputesInChunks(Trainable, Protocol):
    """Computes the rows of a batch a few at a time, in the memory of a few, though it compares them all."""

    chunk_size: int
    """Rows whose activations are kept at once; 0: those of the whole batch."""


def by_chunks(compute: Callable[[slice], tuple[Tensor, ...]], rows: int, size: int) -> tuple[Tensor, ...]:
    """`compute` of `size` rows at a time, its results joined along their first axis; 0: of all at once.

    Gradients are those of the whole, random numbers in both passes the same. What `compute` returns is kept.
    Source: Chen et al. 2016, "Training deep nets with sublinear memory cost", section 3.

    >>> by_chunks(lambda rows: (torch.arange(5)[rows],), 5, 2)
    (tensor([0, 1, 2, 3, 4]),)
    """
    if not size or rows <= size:
        return compute(slice(0, rows))
    kept = partial(checkpoint, compute, use_reentrant=False) if torch.is_grad_enabled() else compute
    parts = [cast(tuple[Tensor, ...], kept(slice(at, at + size))) for at in range(0, rows, size)]
    return tuple(torch.cat(some) for some in zip(*parts, strict=True))
