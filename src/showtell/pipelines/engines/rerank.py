"""Images that another engine proposes, in the order of how well a model of pairs matches them.

Scores are log-odds; of a model that learned contrast and matching together, such as BLIP and BLIP-2, the
log-odds and the cosine over its temperature. The library's own model proposes 100; each is read once,
whatever the number of queries. Kim et al. 2021, "ViLT", section 4.4, ranks all pairs so; the published code
of Li et al. 2022 and 2023, "BLIP" and "BLIP-2", adds both scores.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from showtell.data.images.decode import ImageError
from showtell.library.hit import Hit
from showtell.pairing import PairScorer
from showtell.pipelines.engine import Answer, Proposals
from showtell.pipelines.model import Model
from showtell.pipelines.text_input import Text
from showtell.protocols import Encoded
from showtell.tasks.pair_scores import pair_scores
from showtell.wording import counted

logger = logging.getLogger(__name__)

PROPOSED = 100
"""Images that the first engine proposes, at least as many as are asked for."""
CACHE_BYTES = 2**30
"""Embedded images are kept between queries up to this size."""
CHUNK = 32
"""Images that are embedded at once."""


class Rerank:
    """The log-odds that the query and each proposed image belong together."""

    requires: ClassVar = (PairScorer,)
    preference: ClassVar = 0
    needs_model: ClassVar = True

    def __init__(self, images: Proposals, model: Model) -> None:
        self._images, self._model = images, model
        self._cache = dict[int, Encoded]()

    def find(self, queries: Sequence[Text], top: int, seed: int = 0) -> Iterator[Answer]:
        """The `top` best of those that are proposed."""
        for query in queries:
            found = self._images.propose(query.text, max(PROPOSED, top))
            hits = self._embedded(found.hits)
            if not hits:
                yield Answer(query, [], chance=found.chance)
                continue
            images = joined([self._cache[hit.row] for hit in hits])
            scores = pair_scores(self._model.system, [query.ids], images)[0]
            scores = scores + self._images.weight * torch.tensor([hit.score for hit in hits])
            order = scores.argsort(descending=True, stable=True)[:top].tolist()
            again = [replace(hits[i], score=scores[i].item(), first_score=hits[i].score) for i in order]
            yield Answer(query, again, chance=found.chance)
            self._forget()

    def _embedded(self, hits: Sequence[Hit]) -> list[Hit]:
        """Those of the proposed images that can be read, each in the cache as the model embeds it."""
        missing, unread = [hit for hit in hits if hit.row not in self._cache], dict[int, ImageError]()
        for first in range(0, len(missing), CHUNK):
            some, pixels = list[Hit](), list[np.ndarray]()
            for hit in missing[first : first + CHUNK]:
                try:
                    pixels.append(self._model.read(hit.path))
                except ImageError as error:
                    unread[hit.row] = error
                else:
                    some.append(hit)
            if some:
                embedded = self._embed(pixels)
                self._cache |= {hit.row: embedded[[place]] for place, hit in enumerate(some)}
        if unread:
            first_error = next(iter(unread.values()))
            logger.warning("%s left out, the first: %s", counted(len(unread), "proposed image"), first_error)
        return [hit for hit in hits if hit.row not in unread]

    @torch.inference_mode()
    def _embed(self, pixels: Sequence[np.ndarray]) -> Encoded:
        assert self._model.image_input is not None
        batch = self._model.image_input.batch(pixels).to(self._model.device)
        embedded: Encoded = self._model.system.embed_images(batch)
        return embedded

    def _forget(self) -> None:
        """Where the cache has no room, the images that it has had longest leave."""
        size = sum(_bytes(one) for one in self._cache.values())
        while size > CACHE_BYTES:
            size -= _bytes(self._cache.pop(next(iter(self._cache))))


def _bytes(one: Encoded) -> int:
    return one.tokens.nbytes + one.pooled.nbytes


def joined(images: Sequence[Encoded]) -> Encoded:
    """Encoded images as one, padded to the most tokens."""
    longest = max(one.tokens.shape[1] for one in images)
    tokens, keeps = list[Tensor](), list[Tensor]()
    for one in images:
        more = longest - one.tokens.shape[1]
        keep = one.tokens.new_ones(one.tokens.shape[:2], dtype=torch.bool) if one.keep is None else one.keep
        tokens.append(F.pad(one.tokens, (0, 0, 0, more)))
        keeps.append(F.pad(keep, (0, more)))
    keep = torch.cat(keeps)
    pooled = torch.cat([one.pooled for one in images])
    return Encoded(torch.cat(tokens), pooled, None if keep.all() else keep)
