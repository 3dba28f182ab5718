"""Search and retrieval figures: where the described image ranks among all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from showtell.data.captions.entry import Entry
from showtell.library.hit import Hit
from showtell.library.sight import Sight
from showtell.library.text import CaptionIndex
from showtell.pairing import PairScorer
from showtell.pipelines.engine import OwnProposals, best, engine_named
from showtell.pipelines.engines.rerank import PROPOSED
from showtell.pipelines.model import Model
from showtell.pipelines.text_input import Text
from showtell.progress import report
from showtell.protocols import Encoded
from showtell.tasks import metrics
from showtell.tasks.retrieval import ranks_both_ways


class EncodedImages:
    """Encoded images with generated captions and tags, searched as a library is (`SearchedImages`)."""

    def __init__(
        self, paths: Sequence[Path], encoded: Encoded, captions: Sequence[str], sights: Sequence[Sight]
    ) -> None:
        self._paths, self._encoded, self._captions, self._sights = paths, encoded, captions, sights

    def __len__(self) -> int:
        return len(self._paths)

    def path(self, row: int) -> Path:
        """The file of an image."""
        return self._paths[row]

    def pooled(self) -> Tensor:
        """The pooled vectors of all images, `[N D]`."""
        return self._encoded.pooled

    def encoded(self, rows: Sequence[int]) -> Encoded:
        """Some images as the model encoded them."""
        return Encoded(self._encoded.tokens[list(rows)], self._encoded.pooled[list(rows)])

    def hits(self, found: Sequence[tuple[int, float]]) -> list[Hit]:
        """Rows and their scores as hits."""
        return [Hit(row, self._paths[row], score) for row, score in found]

    def sights(self) -> Sequence[Sight]:
        """What each image shows."""
        return self._sights

    def similar(self, vector: Tensor, top: int) -> list[Hit]:
        """The images nearest a vector `[D]` by cosine."""
        return best(self, self._normalised @ F.normalize(vector, dim=-1), top)

    def full_text(self, query: str, top: int) -> list[Hit]:
        """The images whose captions share words with the query, by BM25."""
        return [hit for hit in best(self, torch.from_numpy(self._index.scores(query)), top) if hit.score > 0]

    @cached_property
    def _normalised(self) -> Tensor:
        return F.normalize(self._encoded.pooled, dim=-1)

    @cached_property
    def _index(self) -> CaptionIndex:
        return CaptionIndex(self._captions)


def search_figures(
    model: Model, entries: Sequence[Entry], images: EncodedImages, engine: str, queries: int
) -> dict[str, float]:
    """Where the described image ranks among all, for one engine.

    Each of the first `queries` images is searched for by its first caption; words that the model does not
    know stay in the query, as the unknown token. An image that is not proposed for re-ranking comes last.
    """
    texts = [entry.captions[0] for entry in entries[:queries]]
    tokenized = [Text(text, model.tokenizer.encode(text, model.max_length)) for text in texts]
    chosen: Any = engine_named(engine)
    reranks = PairScorer in chosen.requires
    searched = chosen(OwnProposals(images, model) if reranks else images, model)
    scores = np.full((len(texts), len(images)), -np.inf)
    started = time.perf_counter()
    for place, answer in enumerate(searched.find(tokenized, PROPOSED if reranks else len(images))):
        scores[place, [hit.row for hit in answer.hits]] = [hit.score for hit in answer.hits]
        report(f"searching by {engine}", place + 1, len(texts))
    seconds = time.perf_counter() - started
    return {
        **_ranks(metrics.ranks(scores, range(len(texts)))),
        "queries": len(texts),
        "images": len(entries),
        "milliseconds": 1000 * seconds / len(texts),
    }


def retrieval_figures(
    model: Model, entries: Sequence[Entry], encoded: Encoded
) -> dict[str, dict[str, float]]:
    """Where the image of each caption ranks among all, and where the best caption of each image does."""
    texts = [text for entry in entries for text in entry.captions]
    owner = torch.tensor([place for place, entry in enumerate(entries) for _ in entry.captions])
    vectors = model.vectors_of([model.tokenizer.encode(text, model.max_length) for text in texts]).cpu()
    of_texts, of_images = ranks_both_ways(encoded.pooled.cpu(), vectors, owner)
    counts = {"texts": len(texts), "images": len(entries)}
    return {
        "text_to_image": {**_ranks(of_texts), **counts},
        "image_to_text": {**_ranks(of_images), **counts},
    }


def _ranks(ranks: np.ndarray) -> dict[str, float]:
    recalls = {f"recall{k}": value for k, value in metrics.recall(ranks).items()}
    return {**recalls, "median_rank": metrics.median_rank(ranks)}
