"""Texts of like length go together: fewer columns are computed for padding."""

from __future__ import annotations

from torch import Tensor

from showtell.data.batch import Batch

GROUPS, LEAST = 4, 64
"""How many groups, and how few texts are not worth a group of their own."""


def by_length(batch: Batch) -> tuple[list[Batch], Tensor]:
    """The texts of a batch in groups of like length, each as wide as its longest, and the way back.

    A group has `ids` and `keep`. What is computed of each text, in the order of the groups, comes back to the
    order of the batch when it is indexed by the second value.

    >>> import torch
    >>> ids, keep = torch.tensor([[5, 6, 7], [8, 0, 0]]), torch.tensor([[True] * 3, [True, False, False]])
    >>> groups, place = by_length(Batch(ids=ids, keep=keep))
    >>> torch.cat([group.ids for group in groups])[place].tolist()
    [[5, 6, 7], [8, 0, 0]]
    """
    assert batch.ids is not None
    assert batch.keep is not None
    lengths = batch.keep.sum(1)
    order = lengths.argsort(stable=True)
    groups = []
    for rows in order.split(max(LEAST, -(-len(order) // GROUPS))):
        longest = int(lengths[rows[-1]])
        groups.append(Batch(ids=batch.ids[rows, :longest], keep=batch.keep[rows, :longest]))
    return groups, order.argsort()
