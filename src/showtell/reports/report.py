"""A report on what a model makes of a folder of images, as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from showtell.html.maps import ImageMap, ShownImage, WordMap
from showtell.html.page import write_page

if TYPE_CHECKING:
    from showtell.library.sight import Sight, Tag
    from showtell.reports.documents import ReadDocument
    from showtell.tasks.caption import Caption
    from showtell.tasks.words import WordScore

UNFOLDED = 20
"""Captioned images that show at once; the others are folded away."""


@dataclass(frozen=True)
class CaptionedImage:
    """An image and the model's captions of it, best first."""

    image: ShownImage
    captions: Sequence[Caption]
    sight: Sight | None = None
    """Its tags, and whether it looks like the training images."""

    @property
    def unfamiliar(self) -> bool:
        """Whether it is known to be unlike the training images."""
        return self.sight is not None and self.sight.familiar is False


@dataclass(frozen=True)
class FoundImage:
    """An image that a search found."""

    image: ShownImage
    score: float
    tags: Sequence[Tag] = ()
    """Its most probable one, where it is known."""


@dataclass(frozen=True)
class Search:
    """A description and the images that one engine found for it, best first."""

    query: str
    engine: str
    seconds: float
    found: Sequence[FoundImage]
    nothing_alike: bool = False
    """Whether the best is no better than chance."""


@dataclass(frozen=True)
class SimilarImages:
    """An image and those most similar to it, nearest first."""

    image: ShownImage
    found: Sequence[FoundImage]


@dataclass(frozen=True)
class SimilarWords:
    """A word and those most similar to it, nearest first."""

    word: str
    found: Sequence[WordScore]


@dataclass(frozen=True)
class Analogy:
    """`a` is to `b` as `c` is to the words found, best first."""

    a: str
    b: str
    c: str
    found: Sequence[WordScore]


def write_report(
    path: Path,
    *,
    title: str,
    model: str,
    images: Sequence[CaptionedImage] = (),
    searches: Sequence[Search] = (),
    similar_images: Sequence[SimilarImages] = (),
    words: Sequence[SimilarWords] = (),
    analogies: Sequence[Analogy] = (),
    documents: Sequence[ReadDocument] = (),
    word_map: WordMap | None = None,
    image_map: ImageMap | None = None,
    seconds: float | None = None,
) -> None:
    """Write the report; a section without content is left out. `seconds` is how long the whole run took.

    Raises `UsageError` when `path` does not end in `.html`, `UserError` when it cannot be written.
    """
    write_page(
        path,
        "report",
        title=title,
        model=model,
        images=images,
        searches=searches,
        similar_images=similar_images,
        words=words,
        analogies=analogies,
        documents=documents,
        word_map=word_map,
        image_map=image_map,
        seconds=seconds,
        unfolded=UNFOLDED,
    )
