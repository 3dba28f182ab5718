"""Length bucketing: texts of similar length are encoded together, with less padding."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from showtell.data.batch import Batch, TextBatch

GROUPS, LEAST = 4, 64
"""The number of groups, and the smallest number of texts worth a group."""


def by_length(batch: Batch, embed: Callable[[Batch], Tensor]) -> Tensor:
    """`embed` of each text of a batch, in groups of similar length, each padded to its own longest text.

    A group holds `ids` and `keep`; the rows are returned in the order of the batch. Texts whose features are
    there are not grouped.

    >>> ids, keep = torch.tensor([[5, 6, 7], [8, 0, 0]]), torch.tensor([[True] * 3, [True, False, False]])
    >>> by_length(Batch(texts=TextBatch(ids, keep)), lambda group: group.texts.ids.sum(1)).tolist()
    [18, 8]
    """
    if batch.texts.features is not None:  # computed already
        return embed(batch)
    lengths = batch.texts.keep.sum(1)
    order = lengths.argsort(stable=True)
    groups = []
    for rows in order.split(max(LEAST, -(-len(order) // GROUPS))):
        longest = int(lengths[rows[-1]])
        texts = TextBatch(batch.texts.ids[rows, :longest], batch.texts.keep[rows, :longest])
        groups.append(embed(Batch(texts=texts)))
    return torch.cat(groups)[order.argsort()]
