"""Unit vectors in a memory-mapped file, derived from a version of the table when missing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from showtell.library.rows import vectors_of
from showtell.writing import replacing

logger = logging.getLogger(__name__)


def derived_vectors(folder: Path, name: str, table: Any, row_of: Mapping[int, int]) -> np.ndarray:
    """Unit vectors `float32 [M D]`, each in the row that `row_of` gives its id.

    `table` is at the version that `row_of` was read from. Files of other versions are deleted.
    """
    if table is None:
        return np.empty((0, 0), np.float32)
    file = folder / f"{name}.vectors-{table.version}.npy"
    try:
        derived = np.load(file, mmap_mode="r")
        if len(derived) == len(row_of):
            return derived
    except (OSError, ValueError, EOFError):
        pass  # not derived yet, or damaged
    vectors = _unit_vectors(table, row_of)
    try:
        with replacing(file) as new:
            np.save(new, vectors)
        for old in folder.glob(f"{name}.vectors-*.npy"):
            if old != file:
                old.unlink(missing_ok=True)
        return np.load(file, mmap_mode="r")
    except OSError as error:  # such as a disk that is full or read-only
        logger.warning(
            "%s: unit vectors cannot be kept there (%s), so each search derives them again",
            folder,
            error.strerror or error,
        )
        return vectors


def raw_vectors(table: Any, row_of: Mapping[int, int]) -> tuple[np.ndarray, int]:
    """The vectors as the model returned them, `float32 [M D]`, and the number of rows found."""
    return _placed(table, row_of, lambda values: values)


def largest(scores: np.ndarray, top: int) -> list[int]:
    """The indices of the `top` largest of `scores [M]`, largest first, ties in order.

    >>> largest(np.array([0.1, 0.9, 0.5, 0.9]), 3)
    [1, 3, 2]
    """
    rows = (
        np.argpartition(-scores, top)[:top] if 0 < top < len(scores) else np.arange(len(scores) if top else 0)
    )
    return rows[np.lexsort((rows, -scores[rows]))].tolist()


def _unit_vectors(table: Any, row_of: Mapping[int, int]) -> np.ndarray:
    """Normalised vectors; a zero vector stays zero, and a NaN counts as zero."""

    def unit(values: np.ndarray) -> np.ndarray:
        values = np.nan_to_num(values, posinf=0, neginf=0)
        return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)

    return _placed(table, row_of, unit)[0]


def _placed(
    table: Any, row_of: Mapping[int, int], change: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, int]:
    vectors = np.empty((len(row_of), table.schema.field("vector").type.list_size), np.float32)
    found = 0
    for batch in table.search().select(["id", "vector"]).to_batches():
        values = change(vectors_of(pa.Table.from_batches([batch])))
        rows = np.array([row_of.get(id, -1) for id in batch["id"].to_pylist()], np.int64)
        vectors[rows[rows >= 0]] = values[rows >= 0]
        found += int((rows >= 0).sum())
    return vectors, found
