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


@torch.no_grad()
def class_logits(system: EncodedClassifier, batches: Iterable[Batch]) -> Tensor:
    """Logits `[N K]` of the images of batches, or of their texts where there are no images; on the CPU."""
    rows = []
    for batch in batches:
        encode = "encode_images" if len(batch.images) else "encode_texts"
        rows.append(system.classify(getattr(system, encode)(batch)).float().cpu())
    return torch.cat(rows)
