"""Images whose stored captions share words with the query, by BM25.

Both a person's captions and a captioner's; the search itself needs no model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from showtell.pipelines.engine import Answer, SearchedImages
from showtell.pipelines.model import Model
from showtell.pipelines.text_input import Text
from showtell.protocols import Captioner


class Captions:
    """Full-text search in the captions."""

    requires: ClassVar = (Captioner,)
    preference: ClassVar = 3
    needs_model: ClassVar = False

    def __init__(self, images: SearchedImages, model: Model | None) -> None:
        self._images = images

    def find(self, queries: Sequence[Text], top: int, seed: int = 0) -> Iterator[Answer]:
        """The `top` images by BM25."""
        for query in queries:
            yield Answer(query, self._images.full_text(query.text, top))
