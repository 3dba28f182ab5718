"""Images for which a captioner gives the query the highest probability.

Scores are mean log-probabilities per token, in nats. Vinyals et al. 2015, section 4.3.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch

from showtell.pipelines.engine import Answer, SearchedImages, best
from showtell.pipelines.model import Model
from showtell.pipelines.text_input import Text
from showtell.protocols import Captioner, State
from showtell.tasks.likelihood import likelihood

CHUNK = 512
"""Images per prefill."""
CACHE_BYTES = 2**30
"""Prefilled images are kept between queries up to this size."""


class Likelihood:
    """Mean log-probability per token of the query as a caption of each image."""

    requires: ClassVar = (Captioner,)
    preference: ClassVar = 1
    needs_model: ClassVar = True

    def __init__(self, images: SearchedImages, model: Model) -> None:
        self._images, self._model = images, model
        self._cache: dict[int, State] = {}

    def find(self, queries: Sequence[Text], top: int, seed: int = 0) -> Iterator[Answer]:
        """The `top` images with the highest log-probability."""
        for query in queries:
            scores = [likelihood(self._model.system, query.ids, memory) for memory in self._memories()]
            yield Answer(query, best(self._images, torch.cat(scores), top))

    def _memories(self) -> Iterator[State]:
        """The prefilled images, chunk by chunk."""
        for first in range(0, len(self._images), CHUNK):
            memory = self._cache.get(first)
            if memory is None:
                rows = range(first, min(first + CHUNK, len(self._images)))
                with torch.inference_mode():
                    memory = self._model.system.prefill(self._images.encoded(rows).to(self._model.device))
                size = sum(tensor.nbytes for tensor in memory.values())
                if size * (len(self._cache) + 1) <= CACHE_BYTES:
                    self._cache[first] = memory
            yield memory
