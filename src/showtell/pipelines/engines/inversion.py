"""Images near a vector that gradient descent fits to the query through a captioner.

Scores are cosines. See `tasks.inversion`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import ClassVar

from torch import Tensor

from showtell.pipelines.engine import Answer, SearchedImages, best
from showtell.pipelines.model import Model
from showtell.pipelines.text_input import Text
from showtell.protocols import Captioner
from showtell.tasks.inversion import Prior, VectorCaptioner, invert, nearest

BATCH = 32
"""Queries per descent."""


class Inversion:
    """Cosine of each image's vector and the mean of the inverted ones."""

    requires: ClassVar = (Captioner, VectorCaptioner)
    preference: ClassVar = 2
    needs_model: ClassVar = True

    def __init__(self, images: SearchedImages, model: Model) -> None:
        self._images, self._model = images, model

    def find(self, queries: Sequence[Text], top: int, seed: int = 0) -> Iterator[Answer]:
        """The `top` nearest images, with the loss of the descent."""
        for first in range(0, len(queries), BATCH):
            some = queries[first : first + BATCH]
            found = invert(self._model.system, [query.ids for query in some], self._prior, seed=seed)
            for query, one in zip(some, found, strict=True):
                scores = nearest(one, self._pooled).cpu()
                yield Answer(query, best(self._images, scores, top), tuple(one.losses))

    @cached_property
    def _pooled(self) -> Tensor:
        return self._images.pooled().to(self._model.device)

    @cached_property
    def _prior(self) -> Prior:
        return Prior.of(self._pooled)
