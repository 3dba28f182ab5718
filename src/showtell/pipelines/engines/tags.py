"""Images whose tags mean what the query says, by the text vectors of their names.

    image = sum of probability * text(name of the class) over its tags / sum of their probabilities
    score = cosine(image, text(query))

The tags are those that the library stores: up to five classes of the backbone, none below 0.05. An image
without any is not found. Norouzi et al. 2014, "Zero-Shot Learning by Convex Combination of Semantic
Embeddings" (ConSE), section 3.2, with the text tower of a dual encoder in place of word2vec.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from showtell.errors import UserError
from showtell.library.vectors import largest
from showtell.pipelines.engine import Answer, SearchedImages
from showtell.pipelines.model import Model
from showtell.pipelines.text_input import Text
from showtell.protocols import SharedSpace


class Tags:
    """Cosine of the query's vector and the convex combination of those of an image's tags."""

    requires: ClassVar = (SharedSpace,)
    preference: ClassVar = None
    needs_model: ClassVar = True

    def __init__(self, images: SearchedImages, model: Model) -> None:
        self._images, self._model = images, model

    def find(self, queries: Sequence[Text], top: int, seed: int = 0) -> Iterator[Answer]:
        """The `top` nearest of the images that have tags. Raises `UserError` where none has."""
        rows, vectors = self._tagged
        for query in queries:
            wanted = F.normalize(self._model.vectors_of([query.ids]).cpu(), dim=-1)[0]
            scores = vectors @ wanted
            places = largest(scores.numpy(), top)
            yield Answer(query, self._images.hits([(rows[place], scores[place].item()) for place in places]))

    @cached_property
    def _tagged(self) -> tuple[list[int], Tensor]:
        """The rows of the images that have tags, and a unit vector for each, `[T D]`."""
        tagged = {
            row: {tag.label: tag.probability for tag in seen.tags}
            for row, seen in enumerate(self._images.sights())
            if seen and seen.tags
        }
        if not tagged:
            raise UserError(
                f"no image has tags: the backbone of {self._model.name} has no classes or is sure of none, "
                "or they were indexed before tags were stored: showtell index FOLDER "
                "--library LIBRARY --rebuild adds them"
            )
        names = sorted(set().union(*tagged.values()))
        weights = torch.tensor([[one.get(name, 0.0) for name in names] for one in tagged.values()])
        vectors = F.normalize(self._model.text_vectors(names).cpu(), dim=-1)
        return list(tagged), F.normalize(weights @ vectors, dim=-1)
