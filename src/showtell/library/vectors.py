"""Unit vectors in one file, memory-mapped: derived from a version of the table, made when missing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from showtell.library.rows import vectors_of
from showtell.library.store import replacing


def derived_vectors(folder: Path, name: str, table: Any, row_of: Mapping[int, int]) -> np.ndarray:
    """`float32 [M D]`, each picture's at the row that `row_of` gives its id.

    `table` stands at the version that `row_of` was read from. Files of other versions are removed.
    """
    if table is None:
        return np.empty((0, 0), np.float32)
    file = folder / f"{name}.vectors-{table.version}.npy"
    try:
        return np.load(file, mmap_mode="r")
    except (OSError, ValueError):
        pass  # not made yet
    vectors = _unit_vectors(table, row_of)
    try:
        with replacing(file) as new:
            np.save(new, vectors)
        for old in folder.glob(f"{name}.vectors-*.npy"):
            if old != file:
                old.unlink(missing_ok=True)
        return np.load(file, mmap_mode="r")
    except OSError:
        return vectors  # a library on a read-only disk


def _unit_vectors(table: Any, row_of: Mapping[int, int]) -> np.ndarray:
    """A vector that is zero, or has numbers that are none, becomes zero there: it is like nothing."""
    vectors = np.empty((len(row_of), table.schema.field("vector").type.list_size), np.float32)
    for batch in table.search().select(["id", "vector"]).to_batches():
        values = np.nan_to_num(vectors_of(pa.Table.from_batches([batch])), posinf=0, neginf=0)
        values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
        rows = np.array([row_of.get(id, -1) for id in batch["id"].to_pylist()], np.int64)
        vectors[rows[rows >= 0]] = values[rows >= 0]
    return vectors
