"""Images whose vectors are nearest the query's vector, by cosine.

Any dual encoder. Radford et al. 2021, "Learning Transferable Visual Models From Natural Language
Supervision".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from showtell.pipelines.engine import Answer, SearchedImages
from showtell.pipelines.model import Model
from showtell.pipelines.text_input import Text
from showtell.protocols import SharedSpace


class Dot:
    """Cosine of the query's vector and each image's."""

    requires: ClassVar = (SharedSpace,)
    preference: ClassVar = 4
    needs_model: ClassVar = True

    def __init__(self, images: SearchedImages, model: Model) -> None:
        self._images, self._model = images, model

    def find(self, queries: Sequence[Text], top: int, seed: int = 0) -> Iterator[Answer]:
        """The `top` nearest images, and the score that says whether any fits."""
        known = self._model.chance
        chance = known.threshold(len(self._images)) if known and len(self._images) else None
        for query in queries:
            (vector,) = self._model.vectors_of([query.ids])
            yield Answer(query, self._images.similar(vector.cpu(), top), chance=chance)
