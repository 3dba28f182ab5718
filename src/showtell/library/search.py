"""Search of a library: by vector, by full text, and its stored images and vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from showtell.errors import UserError
from showtell.library import store
from showtell.library.encoder import LibraryEncoder, require_model
from showtell.library.failures import DamagedError, reading
from showtell.library.hit import Hit
from showtell.library.manifest import VectorSet, choose
from showtell.library.rows import encoded_of, sights_of, where_id
from showtell.library.sight import Sight
from showtell.library.store import Store
from showtell.library.stored_rows import StoredImage, shown_columns
from showtell.library.text import words
from showtell.library.vectors import derived_vectors, largest, raw_vectors
from showtell.protocols import Encoded
from showtell.wording import counted, index_command

Result = TypeVar("Result")


class Library:
    """The images of a library in one model's set, as of opening, sorted by path.

    A `row` is an image's index in that order: in `rows()`, in `vectors()`, in every result.
    """

    def __init__(self, opened: Store, chosen: VectorSet, behind: str | None) -> None:
        self.folder = opened.folder
        self.model, self.preprocessing, self.name = chosen.model, chosen.preprocessing, chosen.name
        self.behind = behind
        """The name of the model that indexed last, if its set holds other images than this one."""
        self._table = opened.table(chosen)
        self._columns = shown_columns(self._table)
        self._row_of = {id: row for row, id in enumerate(self._columns["id"].to_pylist())}
        self._vectors = derived_vectors(self.folder, chosen.table, self._table, self._row_of)

    @classmethod
    def open(
        cls, folder: Path | str, encoder: LibraryEncoder | None = None, *, captioned: bool = False
    ) -> Library:
        """Open the encoder's set of vectors for reading; without an encoder, the set indexed last.

        With `captioned`, the last set with a model's captions, if there is one.

        Raises `UserError` for a folder that is not a library, one that cannot be read or is damaged, or one
        without vectors of this model; `TypeError` for an encoder that is none.
        """
        if encoder is not None:
            require_model(encoder)
        opened = Store.open(folder)

        def attempt() -> Library:
            manifest = opened.manifest()
            chosen = choose(opened.folder, manifest, encoder, captioned)
            return cls(opened, chosen, manifest.ahead_of(chosen))

        return _retry(opened.folder, attempt)

    def __len__(self) -> int:
        return len(self._columns)

    def rows(self, some: Sequence[int] | None = None) -> list[StoredImage]:
        """All images, or some of them in the given order."""
        names = ("path", "hash", "width", "height", "caption", "captions")
        chosen = self._columns if some is None else self._columns.take(pa.array(some, pa.int64()))
        columns = (chosen[name].to_pylist() for name in names)
        return [
            StoredImage(Path(path), digest.hex(), width, height, caption, tuple(captions), sight)
            for path, digest, width, height, caption, captions, sight in zip(
                *columns, sights_of(chosen), strict=True
            )
        ]

    def sights(self, rows: Sequence[int] | None = None) -> list[Sight | None]:
        """What all images show, or some of them in the given order; None where it is not stored."""
        return sights_of(self._columns if rows is None else self._columns.take(pa.array(rows, pa.int64())))

    def hits(self, found: Sequence[tuple[int, float]]) -> list[Hit]:
        """Rows and their scores as hits."""
        sights = self.sights([row for row, _ in found])
        return [
            Hit(row, self.path(row), score, sight) for (row, score), sight in zip(found, sights, strict=True)
        ]

    @property
    def unseen(self) -> str:
        """How many images have no tags, and how they get some; empty where all have."""
        if not (number := self._columns["tags"].null_count):
            return ""
        return (
            f"{counted(number, 'image')} of {self.folder} were indexed before tags were stored; to add them: "
            f"{index_command(self.folder)} --rebuild"
        )

    def row_of(self, hash: str) -> int | None:
        """The first image whose file has this SHA-256, in hexadecimal; None where there is none."""
        try:
            wanted = pa.scalar(bytes.fromhex(hash), self._columns["hash"].type)
        except (ValueError, pa.ArrowInvalid):
            return None
        found = pc.index(self._columns["hash"], wanted).as_py()
        return None if found < 0 else found

    def caption_of(self, hash: str) -> str | None:
        """This model's caption of an image, as `row_of`; None where there is none."""
        row = self.row_of(hash)
        caption: str | None = None if row is None else self._columns["caption"][row].as_py()
        return caption

    def vectors(self) -> np.ndarray:
        """Unit vectors, `float32 [M D]`, memory-mapped; a zero vector stays zero."""
        return self._vectors

    def path(self, row: int) -> Path:
        """The path of an image."""
        return Path(self._columns["path"][row].as_py())

    def encoded(self, rows: Sequence[int]) -> Encoded:
        """Encoded images as `LibraryEncoder.encode` returned them, tokens rounded to float16."""
        return encoded_of(self._fetch(rows, ["vector", "num_tokens", "tokens"]))

    def pooled(self) -> Tensor:
        """The vectors of all images as the model returned them, `float32 [M D]`; no tokens are read."""
        if self._table is None:
            return torch.empty(0, 0)

        def attempt() -> tuple[np.ndarray, int]:
            self._table.checkout_latest()
            return raw_vectors(self._table, self._row_of)

        vectors, found = _retry(self.folder, attempt)
        if found < len(self):
            raise UserError(f"the library {self.folder} was indexed again in the meantime; try again")
        return torch.from_numpy(vectors)

    def tokens(self, rows: Sequence[int]) -> Tensor:
        """The tokens of some images, `float32 [B N D]`."""
        return self.encoded(rows).tokens

    def thumbnails(self, rows: Sequence[int]) -> list[bytes]:
        """JPEG files of at most 128 pixels per side."""
        return self._fetch(rows, ["thumbnail"])["thumbnail"].to_pylist()

    def similar(self, vector: np.ndarray | Tensor, top: int = 10) -> list[Hit]:
        """The images nearest to a vector `[D]` by cosine, nearest first.

        Exact below `store.APPROXIMATE_FROM` images, approximate from there on.
        """
        query = np.asarray(vector, np.float32)
        if not len(self):
            return []
        if query.shape != self._vectors.shape[1:]:
            raise ValueError(f"the library's vectors are {self._vectors.shape[1:]}, not {query.shape}")
        if len(self) >= store.APPROXIMATE_FROM and (matches := self._nearly(query, top)):
            return matches
        scores = self._vectors @ (query / max(float(np.linalg.norm(query)), 1e-12))
        return self.hits([(row, float(scores[row])) for row in largest(scores, top)])

    def _nearly(self, query: np.ndarray, top: int) -> list[Hit]:
        """The results of the table's vector index; none if there is no index."""

        def search() -> Any:
            found = self._table.search(query, vector_column_name="vector").distance_type("cosine")
            return found.refine_factor(4).select(["id", "_distance"])

        found = self._indexed("vector", search, top)
        return self.hits([(self._row_of[hit["id"]], 1 - hit["_distance"]) for hit in found])

    def full_text(self, query: str, top: int = 10) -> list[Hit]:
        """The images whose captions contain words of the query, by BM25."""
        if not len(self):
            return []

        def search() -> Any:
            return self._table.search(words(query), query_type="fts").select(["id", "_score"])

        found = self._indexed("text", search, top)
        return self.hits([(self._row_of[hit["id"]], hit["_score"]) for hit in found])

    def _indexed(self, column: str, search: Callable[[], Any], top: int) -> list[dict[str, Any]]:
        """The best `top` results of a column's index; none without it: the first indexing did not end yet.

        The index is of the latest version: images that came after this library was opened are passed over,
        and more results are asked for in their place.
        """

        def attempt() -> list[dict[str, Any]]:
            self._table.checkout_latest()
            if column not in store.indexed_columns(self._table):
                return []
            limit, rows = top, max(self._table.count_rows(), 1)
            while True:
                found = search().limit(min(limit, rows)).to_list()
                known = [hit for hit in found if hit["id"] in self._row_of]
                if len(known) >= top or len(found) < limit:
                    return known[:top]
                limit *= 4

        return _retry(self.folder, attempt)

    def _fetch(self, rows: Sequence[int], names: list[str]) -> pa.Table:
        """Large columns of some rows, in the given order."""
        if self._table is None:
            raise IndexError("the library is empty")
        ids = self._columns["id"].take(pa.array(rows, pa.int64())).to_pylist()

        def attempt() -> pa.Table:
            self._table.checkout_latest()
            wanted = self._table.search().where(where_id(set(ids)) if ids else "false")
            return wanted.select(["id", *names]).to_arrow()

        found = _retry(self.folder, attempt)
        place = {id: i for i, id in enumerate(found["id"].to_pylist())}
        if len(place) < len(set(ids)):
            raise UserError(f"the library {self.folder} was indexed again in the meantime; try again")
        return found.take(pa.array([place[id] for id in ids], pa.int64()))


def _retry(folder: Path, attempt: Callable[[], Result]) -> Result:
    """Retry when an indexing process has just removed the version of the table being read."""
    for _ in range(4):
        try:
            with reading(folder):
                return attempt()
        except DamagedError as error:
            damage = error
    raise damage
