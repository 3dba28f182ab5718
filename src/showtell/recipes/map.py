"""Draw what a model knows as a map: near means alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from showtell.data.tokenizers.words import SPECIAL
from showtell.errors import UserError
from showtell.explain.maps import tsne
from showtell.explain.page import Picture, PictureMap, WordMap, write_map
from showtell.library.search import Library
from showtell.protocols import HasWords
from showtell.recipes.model import Model, load_model


@dataclass(frozen=True)
class Drawn:
    """The two files of a map."""

    output: str
    """HTML to look around in."""
    image: str
    """PNG."""
    points: int


def words(output: Path | str, model: Model | None = None, *, limit: int = 1000, seed: int = 0) -> Drawn:
    """Write a map of the `limit` most frequent words; without a model, the shipped one."""
    content = word_map(model or load_model(), limit, seed)
    image = write_map(Path(output), content, "Map of words")
    return Drawn(str(output), str(image), len(content.words))


def pictures(output: Path | str, library: Path | str, *, limit: int = 2000, seed: int = 0) -> Drawn:
    """Write a map of a library's pictures; of more than `limit`, evenly spaced ones."""
    content = picture_map(Library.open(library), limit, seed)
    if not content.pictures:
        raise UserError(f"the library {library} is empty; add pictures with: showtell index FOLDER")
    image = write_map(Path(output), content, "Map of pictures")
    return Drawn(str(output), str(image), len(content.pictures))


def word_map(model: Model, limit: int, seed: int = 0) -> WordMap:
    """The most frequent words at their places. Raises `UsageError` for a model that has none."""
    model.require(HasWords)
    chosen = slice(len(SPECIAL), len(SPECIAL) + limit)
    vectors = model.system.word_vectors()[chosen].float().cpu().numpy()
    return WordMap(model.words.words[chosen], tsne(vectors, seed))


def picture_map(library: Library, limit: int, seed: int = 0) -> PictureMap:
    """The pictures of a library at their places."""
    chosen = np.linspace(0, len(library) - 1, min(limit, len(library))).astype(int).tolist()
    vectors = np.array(library.vectors()[chosen]) if chosen else np.empty((0, 1))
    return PictureMap(pictures_of(library, chosen), tsne(vectors, seed))


def pictures_of(library: Library, rows: list[int]) -> list[Picture]:
    """Some pictures of a library as a page shows them."""
    if not rows:
        return []
    known = library.rows()
    return [
        Picture(str(known[row].path), thumbnail, known[row].caption or "")
        for row, thumbnail in zip(rows, library.thumbnails(rows), strict=True)
    ]
