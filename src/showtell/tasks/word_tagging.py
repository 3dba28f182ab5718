"""The words of a page tagged by a classifier of their features, and the materials that follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from showtell.data.batch import Batch, TextBatch, pad
from showtell.data.documents.labelled import Material
from showtell.protocols import Trainable
from showtell.tasks.page_words import PAD, Page
from showtell.tasks.word_fields import materials_of


@runtime_checkable
class FieldTagger(Trainable, Protocol):
    """Tells the fields of documents from the features of their words."""

    config: Any
    """Its `vocab_size` is the number of features."""
    class_names: Sequence[str]
    """The labels of words, in the order of the logits."""

    def bag_classes(self, batch: Batch) -> Tensor:
        """Logits `[R K]` of the class of each bag of features."""
        ...


def bags(rows: Sequence[Sequence[int]]) -> TextBatch:
    """Bags of features as a batch."""
    return TextBatch(*pad([list(row) for row in rows], PAD))


@torch.inference_mode()
def word_probabilities(system: FieldTagger, page: Page, device: str = "cpu") -> Float[np.ndarray, "W K"]:
    """The probability of each label for each word of a page."""
    if not page.words:
        return np.zeros((0, len(system.class_names)))
    batch = Batch(texts=bags(page.features(system.config.vocab_size))).to(device)
    return system.bag_classes(batch).double().softmax(-1).cpu().numpy()


def read_materials(system: FieldTagger, page: Page, device: str = "cpu") -> list[Material]:
    """The materials of a page."""
    return materials_of(page, word_probabilities(system, page, device), system.class_names)
