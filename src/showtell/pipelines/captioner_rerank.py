"""Images that another model proposes, in the order of its cosine and a captioner's likelihood together.

    score = cosine + WEIGHT * (mean log-probability per token of the query as a caption of the image)

The captioner reads what the library holds of the images, not their files.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from showtell.library.hit import Hit
from showtell.library.search import Library
from showtell.pipelines.engine import Answer, Proposals
from showtell.pipelines.engines.rerank import PROPOSED
from showtell.pipelines.model import Model
from showtell.pipelines.text_input import Text
from showtell.tasks.likelihood import likelihood
from showtell.wording import counted

logger = logging.getLogger(__name__)

WEIGHT = 0.3
"""Chosen on `val` of Flickr8k for the shipped models (`benchmarks/reranking.py`)."""


class CaptionerRerank:
    """The order of proposed images by two models."""

    def __init__(self, images: Proposals, proposed: Library, described: Library, captioner: Model) -> None:
        """`proposed` has the images of the proposals' rows, `described` the captioner's own set of them."""
        self._images, self._proposed, self._described = images, proposed, described
        self._captioner = captioner

    def find(self, queries: Sequence[Text], top: int, seed: int = 0) -> Iterator[Answer]:
        """The `top` best; as they are proposed for a query that the captioner cannot read."""
        for query in queries:
            found = self._images.propose(query.text, max(PROPOSED, top))
            hits = self._ordered(query, found.hits) if found.hits and readable(query) else found.hits
            yield Answer(found.query, hits[:top], chance=found.chance)

    def _ordered(self, query: Text, hits: Sequence[Hit]) -> list[Hit]:
        stored = self._proposed.rows([hit.row for hit in hits])
        rows = [self._described.row_of(image.hash) for image in stored]
        if missing := rows.count(None):
            logger.warning(
                "%s left out, which %s has not indexed",
                counted(missing, "proposed image"),
                self._captioner.name,
            )
        known = [(hit, row) for hit, row in zip(hits, rows, strict=True) if row is not None]
        if not known:
            return []
        encoded = self._described.encoded([row for _, row in known]).to(self._captioner.device)
        with torch.inference_mode():
            memory = self._captioner.system.prefill(encoded)
        scores = likelihood(self._captioner.system, query.ids, memory).tolist()
        mixed = [
            replace(hit, score=hit.score + WEIGHT * score, first_score=hit.score)
            for (hit, _), score in zip(known, scores, strict=True)
        ]
        return sorted(mixed, key=lambda hit: -hit.score)


def readable(query: Text) -> bool:
    """Whether a captioner knows most words of a query, which it does of none in another language."""
    return len(query.ids) - 2 > len(query.unknown)  # without start and end
