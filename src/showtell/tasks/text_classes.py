"""Classes of texts, which a system reads as tokens or as images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from showtell.data.batch import Batch
from showtell.protocols import Encoded


@runtime_checkable
class EncodedClassifier(Protocol):
    """Knows the classes of what its encoder encodes: images, or texts."""

    class_names: Sequence[str]
    """In the order of the logits; empty when the classes have no names."""

    def classify(self, encoded: Encoded) -> Tensor:
        """Logits `[B K]`."""
        ...


def mean_logits(logits: Tensor, owner: Sequence[int]) -> Tensor:
    """Logits `[N K]`: the mean over the pages `[P K]` of each text, `owner` the text of each page.

    >>> mean_logits(torch.tensor([[1.0], [3.0], [5.0]]), [0, 0, 1]).tolist()
    [[2.0], [5.0]]
    """
    places = torch.tensor(owner)
    counts = places.bincount()[:, None]
    return logits.new_zeros(len(counts), logits.shape[1]).index_add(0, places, logits) / counts


@torch.no_grad()
def class_logits(system: EncodedClassifier, batches: Iterable[Batch]) -> Tensor:
    """Logits `[N K]` of the images of batches, or of their texts where there are no images; on the CPU."""
    rows = []
    for batch in batches:
        encode = "encode_images" if len(batch.images) else "encode_texts"
        rows.append(system.classify(getattr(system, encode)(batch)).float().cpu())
    return torch.cat(rows)
