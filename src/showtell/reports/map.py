"""Maps of a model's words and of a library's images, laid out by t-SNE: near means alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from showtell.data.tokenizers.words import SPECIAL
from showtell.errors import UserError
from showtell.explain.tsne import tsne
from showtell.html.maps import ImageMap, ShownImage, WordMap, write_map
from showtell.library.search import Library
from showtell.pipelines.model import Model, load_model
from showtell.protocols import HasTokenEmbeddings
from showtell.wording import index_command
from showtell.writing import check_writable


@dataclass(frozen=True)
class MapFiles:
    """The two files of a map."""

    output: str
    """HTML, to explore."""
    image: str
    """PNG."""
    points: int


def map_words(
    output: Path | str, model: Model | None = None, *, limit: int = 1000, seed: int = 0
) -> MapFiles:
    """Write a map of the `limit` most frequent words; the model defaults to the shipped one."""
    check_writable(Path(output))
    content = word_map(model or load_model(), limit, seed)
    image = write_map(Path(output), content, "Map of words")
    return MapFiles(str(output), str(image), len(content.words))


def map_images(output: Path | str, library: Path | str, *, limit: int = 2000, seed: int = 0) -> MapFiles:
    """Write a map of a library's images, or of `limit` evenly spaced ones.

    Raises `UserError` for an empty library.
    """
    opened = Library.open(library)
    check_writable(Path(output))
    content = image_map(opened, limit, seed)
    if not content.images:
        raise UserError(f"the library {library} is empty; add images with: {index_command(library)}")
    image = write_map(Path(output), content, "Map of images")
    return MapFiles(str(output), str(image), len(content.images))


def word_map(model: Model, limit: int, seed: int = 0) -> WordMap:
    """The most frequent words, laid out. Raises `UsageError` for a model without word vectors."""
    model.require(HasTokenEmbeddings)
    chosen = slice(len(SPECIAL), len(SPECIAL) + limit)
    vectors = model.system.token_embeddings()[chosen].float().cpu().numpy()
    return WordMap(model.words.words[chosen], tsne(vectors, seed))


def image_map(library: Library, limit: int, seed: int = 0) -> ImageMap:
    """The images of a library, laid out."""
    chosen = np.linspace(0, len(library) - 1, min(limit, len(library))).astype(int).tolist()
    vectors = np.array(library.vectors()[chosen]) if chosen else np.empty((0, 1))
    return ImageMap(images_of(library, chosen), tsne(vectors, seed))


def images_of(library: Library, rows: list[int]) -> list[ShownImage]:
    """Some images of a library, as a page shows them."""
    if not rows:
        return []
    known = library.rows()
    return [
        ShownImage(str(known[row].path), thumbnail, known[row].caption or "")
        for row, thumbnail in zip(rows, library.thumbnails(rows), strict=True)
    ]
