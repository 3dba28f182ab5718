"""Images for which a captioner gives the query the highest probability.

Scores are mean log-probabilities per token, in nats. Vinyals et al. 2015, section 4.3.5.

Where bfloat16 products are the faster ones, a copy of the captioner in bfloat16 computes all scores, and
float32 those that can be among the best: what is found, and its scores, are those of float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from showtell.nn.bfloat16 import has_fast_bfloat16
from showtell.pipelines.engine import Answer, SearchedImages, best
from showtell.pipelines.model import Model
from showtell.pipelines.text_input import Text
from showtell.protocols import Captioner, State
from showtell.tasks.likelihood import likelihood
from showtell.tasks.shortlist import FEWEST, exact_scores_of_the_best

CHUNK = 512
"""Images per prefill."""
CACHE_BYTES = 2**30
"""Prefilled images are kept between queries up to this size, and so is a copy of the captioner."""


class Likelihood:
    """Mean log-probability per token of the query as a caption of each image."""

    requires: ClassVar = (Captioner,)
    preference: ClassVar = 1
    needs_model: ClassVar = True

    def __init__(self, images: SearchedImages, model: Model) -> None:
        self._images, self._model = images, model
        self._cache: dict[tuple[int, bool], State] = {}
        self._cached = 0

    def find(self, queries: Sequence[Text], top: int, seed: int = 0) -> Iterator[Answer]:
        """The `top` images with the highest log-probability."""
        for query in queries:
            yield Answer(query, best(self._images, self._scores(query.ids, top), top))

    def _scores(self, ids: Sequence[int], top: int) -> Tensor:
        """Scores `[N]`, exact for the `top` best."""
        rough = len(self._images) > 4 * max(top, FEWEST) and self._rough is not None
        system = self._rough if rough else self._model.system
        scores = [likelihood(system, ids, memory) for memory in self._memories(rough)]
        if not rough:
            return torch.cat(scores)
        return exact_scores_of_the_best(
            torch.cat(scores),
            lambda rows: likelihood(self._model.system, ids, self._prefill(rows, rough=False)),
            top,
        )

    def _memories(self, rough: bool) -> Iterator[State]:
        """The prefilled images, chunk by chunk."""
        for first in range(0, len(self._images), CHUNK):
            memory = self._cache.get((first, rough))
            if memory is None:
                memory = self._prefill(range(first, min(first + CHUNK, len(self._images))), rough)
                size = sum(tensor.nbytes for tensor in memory.values())
                if self._cached + size <= CACHE_BYTES:
                    self._cache[first, rough] = memory
                    self._cached += size
            yield memory

    @torch.inference_mode()
    def _prefill(self, rows: Sequence[int], rough: bool) -> State:
        encoded = self._images.encoded(rows).to(self._model.device)
        if rough:
            encoded = replace(encoded, tokens=encoded.tokens.bfloat16(), pooled=encoded.pooled.bfloat16())
        memory: State = (self._rough if rough else self._model.system).prefill(encoded)
        return memory

    @cached_property
    def _rough(self) -> Any:
        """The captioner in bfloat16; None where it would be no faster, or too large beside the other."""
        system, device = self._model.system, self._model.device
        parameters = list(system.parameters())
        if (
            device != "cpu"
            or not has_fast_bfloat16(device)
            or any(p.dtype != torch.float32 for p in parameters)
        ):
            return None
        if sum(p.nbytes for p in parameters) > 2 * CACHE_BYTES:
            return None
        return deepcopy(system).bfloat16()
