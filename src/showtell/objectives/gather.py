"""Rows of all processes, with gradients, for a loss over a batch that is divided among them."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, distributed

from showtell.collective import gather


def gather_rows(rows: Shaped[Tensor, "N ..."]) -> Shaped[Tensor, "M ..."]:
    """The rows of every process in order of rank; without `torch.distributed`, the same rows.

    Processes may hold different numbers of rows. In the backward pass a row receives the sum of its gradients
    in all processes. So if every process computes the same loss of all rows, the parameters' gradients,
    averaged over the processes, are those of that loss in one process.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return rows
    sizes = gather(torch.tensor(len(rows), device=rows.device)).tolist()
    filled = torch.cat([rows, rows.new_zeros(max(sizes) - len(rows), *rows.shape[1:])])
    return torch.cat([part[:size] for part, size in zip(gather(filled), sizes, strict=True)])


def gather_pairs(
    images: Float[Tensor, "B D"], texts: Float[Tensor, "R D"], owner: Int[Tensor, " R"]
) -> tuple[Float[Tensor, "C D"], Float[Tensor, "S D"], Int[Tensor, " S"]]:
    """The images and texts of every process, and for each text the index of its image among all."""
    count = gather_rows(torch.tensor([len(images)], device=images.device))
    rank = distributed.get_rank() if len(count) > 1 else 0
    return gather_rows(images), gather_rows(texts), gather_rows(owner + count[:rank].sum())
