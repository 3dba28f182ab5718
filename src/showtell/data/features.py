"""A cache on disk of what is computed once per image: a frozen backbone's features, or resized pixels."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import filelock
import numpy as np
import torch
from torch import Tensor

from showtell.data.batch import ImageBatch
from showtell.data.images.decode import ImageError, decode_image
from showtell.data.images.files import read_content
from showtell.data.images.resize import squash
from showtell.data.prefetch import prefetch
from showtell.progress import report

Item = TypeVar("Item")

DIGEST_BYTES = 32
BATCH = 32


class ImageStore(Protocol):
    """Where a run's images are kept."""

    def add(self, paths: Sequence[Path], what: str = ...) -> FeatureRows:
        """The images' rows; those that cannot be read are skipped."""
        ...

    def images(self, rows: Sequence[int]) -> ImageBatch:
        """Some rows, as a system reads them."""
        ...


@dataclass(frozen=True)
class FeatureRows:
    """The rows of some images in the cache."""

    rows: np.ndarray
    """`int64 [M]`, the row of each image in the cache, -1 where it was skipped."""
    skipped: dict[Path, str] = field(default_factory=dict)
    """Images that could not be read, and why."""


class FeatureCache:
    """Features keyed by content: the same bytes are never computed twice, whatever the file's name.

    Two append-only files: `features.f16` with one `float16 [N D]` per row (`features.u8` for bytes), and
    `index.sha256` with the digest of each row's image. A digest is written after its row is on disk, so a
    process killed at any moment leaves at most a tail without a digest, which the next one overwrites.

    Example::

        cache = FeatureCache(folder, backbone.hash, backbone.preprocessing, backbone, (49, 1280))
        found = cache.add(paths)
        grid = cache.grid(found.rows[:64])
    """

    def __init__(
        self,
        folder: Path | str,
        backbone_hash: str,
        preprocessing: str,
        compute: Callable[[np.ndarray], Tensor],
        shape: tuple[int, ...],
        size: int = 224,
        dtype: type[np.generic] = np.float16,
        prepare: Callable[[np.ndarray], np.ndarray] | None = None,
        batch: Callable[[np.ndarray], ImageBatch] | None = None,
    ) -> None:
        """Open or create the cache of one backbone and one preprocessing.

        `compute` maps `uint8 [B S S 3]` to `[B N D]`; `shape` is `(N, D)`, `size` is `S`. `prepare` is what
        `preprocessing` names: it maps one decoded image to `uint8 [S S 3]`, by default squashed. `batch` is
        how a system reads some rows: by default bytes are pixels, other numbers features.
        """
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._compute, self._size, self._batch = compute, size, batch
        self._preprocess = prepare or (lambda pixels: squash(pixels, size))
        made_by = hashlib.sha256(f"{backbone_hash} {preprocessing} {shape} {size}".encode()).hexdigest()
        self.folder = Path(folder) / made_by[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        kind = f"{self.dtype.kind}{8 * self.dtype.itemsize}"
        self._data, self._index = self.folder / f"features.{kind}", self.folder / "index.sha256"
        self._row_bytes = math.prod(shape) * self.dtype.itemsize
        self._row_of: dict[bytes, int] = {}
        self._load()

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def array(self) -> np.ndarray:
        """All features as stored, memory-mapped, `[M N D]`."""
        return self._array

    def grid(self, rows: np.ndarray | Sequence[int]) -> Tensor:
        """The features of some rows, `float32 [B N D]`."""
        rows = np.asarray(rows)
        if rows.size and rows.min() < 0:
            raise IndexError("a skipped image (row -1) has no features")
        return torch.from_numpy(self._array[rows]).float()

    def images(self, rows: Sequence[int]) -> ImageBatch:
        """Some rows as a system reads them."""
        if self._batch is not None:
            return self._batch(self._array[np.asarray(rows)])
        if self.dtype == np.uint8:
            return ImageBatch(pixels=torch.from_numpy(self._array[np.asarray(rows)]))
        return ImageBatch(features=self.grid(rows))

    def add(self, paths: Sequence[Path], what: str = "reading images") -> FeatureRows:
        """Find the images' rows and compute those that are missing.

        Progress is reported as `what`, in images that are on disk or skipped. Waits for another process that
        is adding images.
        """
        return self._add(self._read, paths, len(paths), what)

    def add_contents(
        self,
        contents: Iterable[tuple[str, bytes | ImageError]],
        total: int,
        what: str = "reading images",
    ) -> FeatureRows:
        """`add` for images that are no files, such as those of an archive: names with bytes or an error."""
        return self._add(self._read_content, contents, total, what)

    def _add(
        self,
        read: Callable[[Item], tuple[Path, bytes, np.ndarray | str | None]],
        images: Iterable[Item],
        total: int,
        what: str,
    ) -> FeatureRows:
        skipped: dict[Path, str] = {}
        digests: list[bytes | None] = []
        waiting: dict[bytes, np.ndarray] = {}
        with self._alone():
            for path, digest, outcome in prefetch(read, images):
                if isinstance(outcome, str):
                    skipped[path] = outcome
                elif outcome is not None and digest not in self._row_of:
                    waiting[digest] = outcome
                digests.append(None if isinstance(outcome, str) else digest)
                if len(waiting) == BATCH:
                    self._append(waiting)
                    waiting = {}
                if not waiting:
                    report(what, len(digests), total)
            if waiting:
                self._append(waiting)
                report(what, len(digests), total)
        self._load()
        rows = [-1 if d is None else self._row_of[d] for d in digests]
        return FeatureRows(np.array(rows, np.int64), skipped)

    def _read(self, path: Path) -> tuple[Path, bytes, np.ndarray | str | None]:
        """An image's digest, and its pixels, or a reason to skip it, or None when its row exists."""
        try:
            return self._prepare(path, *read_content(path))
        except ImageError as error:
            return path, b"", error.reason

    def _read_content(
        self, content: tuple[str, bytes | ImageError]
    ) -> tuple[Path, bytes, np.ndarray | str | None]:
        path, data = Path(content[0]), content[1]
        try:
            if isinstance(data, ImageError):
                raise data
            return self._prepare(path, data, hashlib.sha256(data).digest())
        except ImageError as error:
            return path, b"", error.reason

    def _prepare(self, path: Path, data: bytes, digest: bytes) -> tuple[Path, bytes, np.ndarray | str | None]:
        if digest in self._row_of:
            return path, digest, None
        return path, digest, self._preprocess(decode_image(data, path, at_least=2 * self._size))

    def _append(self, images: dict[bytes, np.ndarray]) -> None:
        grid = self._compute(np.stack(list(images.values())))
        if tuple(grid.shape) != (len(images), *self.shape):
            raise ValueError(f"the backbone returned {tuple(grid.shape)}, not {(len(images), *self.shape)}")
        rows = grid.numpy().astype(self.dtype).tobytes()
        _write(self._data, len(self._row_of) * self._row_bytes, rows)
        _write(self._index, len(self._row_of) * DIGEST_BYTES, b"".join(images))
        for digest in images:
            self._row_of[digest] = len(self._row_of)

    def _load(self) -> None:
        """Read the index. A row without a digest, or a digest without a row, does not count."""
        self._index.touch()
        self._data.touch()
        index = self._index.read_bytes()
        rows = min(len(index) // DIGEST_BYTES, self._data.stat().st_size // self._row_bytes)
        digests = [index[i : i + DIGEST_BYTES] for i in range(0, rows * DIGEST_BYTES, DIGEST_BYTES)]
        self._row_of = {digest: row for row, digest in enumerate(digests)}
        shape = (rows, *self.shape)
        self._array = (
            np.memmap(self._data, self.dtype, "r", shape=shape) if rows else np.empty(shape, self.dtype)
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with filelock.FileLock(self.folder / "lock"):
            self._load()
            yield


def _write(file: Path, offset: int, data: bytes) -> None:
    """Write bytes at an offset, replacing an unfinished tail, and wait until they are on the disk."""
    with file.open("r+b") as out:
        if out.seek(0, os.SEEK_END) > offset:
            out.truncate(offset)
        out.seek(offset)
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
