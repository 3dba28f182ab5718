"""Texts of like length go together: fewer columns are computed for padding."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from showtell.data.batch import Batch, TextBatch

GROUPS, LEAST = 4, 64
"""How many groups, and how few texts are not worth a group of their own."""


def by_length(batch: Batch, embed: Callable[[Batch], Tensor]) -> Tensor:
    """What `embed` makes of each text of a batch, in groups of like length, each as wide as its longest.

    A group holds `ids` and `keep`; the rows come back in the order of the batch.

    >>> ids, keep = torch.tensor([[5, 6, 7], [8, 0, 0]]), torch.tensor([[True] * 3, [True, False, False]])
    >>> by_length(Batch(texts=TextBatch(ids, keep)), lambda group: group.texts.ids.sum(1)).tolist()
    [18, 8]
    """
    lengths = batch.texts.keep.sum(1)
    order = lengths.argsort(stable=True)
    groups = []
    for rows in order.split(max(LEAST, -(-len(order) // GROUPS))):
        longest = int(lengths[rows[-1]])
        texts = TextBatch(batch.texts.ids[rows, :longest], batch.texts.keep[rows, :longest])
        groups.append(embed(Batch(texts=texts)))
    return torch.cat(groups)[order.argsort()]
