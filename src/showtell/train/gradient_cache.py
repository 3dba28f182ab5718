"""A contrastive loss over a batch of any size, in the memory of a small one.

    1. vectors of every chunk, without a graph            v_k = f(x_k)
    2. the loss of all vectors, and its gradients         g = dL/dv
    3. every chunk once more, with a graph                dL/dw = sum_k g_k . dv_k/dw

Exact, since chunks interact in the loss alone. Each chunk draws its own random numbers, the same in both
passes.

Source: Gao et al. 2021, "Scaling deep contrastive learning batch size under memory limited setup",
section 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from showtell.data.batch import Batch
from showtell.protocols import Contrastive, Step

Vectors = tuple[Tensor, ...]


def cached_backward(
    system: nn.Module,
    batch: Batch,
    generator: torch.Generator,
    total: Callable[[Step], Tensor],
    *,
    chunk_size: int,
    autocast: Callable[[], AbstractContextManager[Any]],
    forward: Callable[[Callable[[], Vectors], bool], Vectors] = lambda embed, last: embed(),
) -> Step:
    """Add the gradients of `total(step)` to the parameters, `step` being what `system(batch)` would compute.

    At most `chunk_size` images, and as many texts as go with them, are ever in a graph together.
    `autocast()` is entered wherever the system computes. `forward(embed, last)` runs each forward pass that a
    backward pass follows, and is told which is the last. The system must embed each item independently of the
    others in its chunk (no batch norm).

    Raises `ValueError` for a system that is not `Contrastive`.
    """
    if not isinstance(system, Contrastive):
        raise ValueError(
            f"{type(system).__name__} does not compare whole batches: train.chunk_size must be 0"
        )
    chunks = divide(batch, chunk_size)
    seeds = torch.randint(2**62, (len(chunks) + 1,), generator=generator, device=generator.device).tolist()

    def embed(index: int) -> tuple[Tensor, ...]:
        torch.manual_seed(seeds[index])
        own = torch.Generator(generator.device).manual_seed(seeds[index])
        with autocast():
            return system.encode_pairs(chunks[index], own)

    with torch.no_grad():
        embedded = [embed(index) for index in range(len(chunks))]
    vectors = tuple(torch.cat(parts).requires_grad_() for parts in zip(*embedded, strict=True))
    torch.manual_seed(seeds[-1])
    with autocast():
        step = system.compare(vectors, batch)
        loss = total(step)
    loss.backward()
    gradients = [cast(Tensor, v.grad) for v in vectors]
    starts = [0] * len(vectors)
    for index, parts in enumerate(embedded):
        ends = [start + len(part) for start, part in zip(starts, parts, strict=True)]
        wanted = [g[start:end] for g, start, end in zip(gradients, starts, ends, strict=True)]
        torch.autograd.backward(forward(partial(embed, index), index == len(chunks) - 1), wanted)
        starts = ends
    return step


def divide(batch: Batch, chunk_size: int) -> list[Batch]:
    """The batch in parts of at most `chunk_size` images, in order, with as many parts of its texts.

    A text need not be in the part of its image: only the loss brings them together.
    """
    images, texts = batch.images, batch.texts
    parts = min(math.ceil(len(images) / chunk_size), len(texts))
    rows = zip(*(_ranges(len(group), parts) for group in (images, texts)), strict=True)
    return [Batch(images.part(of_images), texts.part(of_texts)) for of_images, of_texts in rows]


def _ranges(length: int, parts: int) -> list[slice]:
    """`parts` ranges of nearly equal length, the longer ones first."""
    return [slice(int(p[0]), int(p[-1]) + 1) for p in torch.arange(length).tensor_split(parts)]
