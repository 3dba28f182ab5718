"""Tags of words, each read at the word's first token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from showtell.data.batch import Batch
from showtell.protocols import Trainable


@runtime_checkable
class Tagger(Trainable, Protocol):
    """Tags the tokens of texts."""

    class_names: Sequence[str]
    """The tags, in the order of the logits; empty if they have no names."""

    def token_tags(self, batch: Batch) -> Tensor:
        """Logits `[R L K]` of the tag of each token."""
        ...


@torch.inference_mode()
def word_tags(system: Tagger, batch: Batch, places: Sequence[int]) -> list[tuple[str, float] | None]:
    """The best tag, and its probability, at some tokens of a batch of one text; None for a place below 0."""
    best = system.token_tags(batch)[0].float().softmax(-1).max(-1)
    tags, probabilities = best.indices.tolist(), best.values.tolist()
    return [
        None if place < 0 else (system.class_names[tags[place]], probabilities[place]) for place in places
    ]
