"""The rows of a table without their vectors: those that indexing compares, and those that a search shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from showtell.library.failures import changing, reading
from showtell.library.rows import SIGHT, File, schema
from showtell.library.sight import Sight
from showtell.library.store import Store


@dataclass(frozen=True)
class Row:
    """A row of the table without its vectors."""

    id: int
    file: File
    digest: bytes
    caption: str | None


@dataclass(frozen=True)
class StoredImage:
    """One image of a library."""

    path: Path
    hash: str
    """SHA-256 of the file, in hexadecimal."""
    width: int
    height: int
    caption: str | None
    """The model's."""
    captions: tuple[str, ...]
    """The person's own."""
    sight: Sight | None
    """Its tags and familiarity; None where it was indexed before they were stored."""


def read_rows(store: Store, table: Any) -> list[Row]:
    """All rows in the order of insertion; none if there is no table yet.

    Raises `UserError` if they cannot be read.
    """
    if table is None:
        return []
    names = ["id", "path", "size", "mtime_ns", "captions", "hash", "caption"]
    with reading(store.folder):
        columns = table.search().select(names).to_arrow()
    return [
        Row(id, File(Path(path), size, mtime_ns, tuple(captions)), digest, caption)
        for id, path, size, mtime_ns, captions, digest, caption in zip(
            *(columns[name].to_pylist() for name in names), strict=True
        )
    ]


def holds_images_of(store: Store, folder: Path) -> bool:
    """Whether an image of a folder, which need not be there any more, is stored with any model's vectors."""
    resolved = folder.resolve()
    rows = (row for known in store.manifest().sets for row in read_rows(store, store.table(known)))
    return any(row.file.path.is_relative_to(resolved) for row in rows)


def shown_columns(table: Any) -> pa.Table:
    """The small columns sorted by path; of two rows of a path, left by a killed process, the later.

    What a table of an older showtell does not have is null.
    """
    names = ["id", "path", "hash", "width", "height", "caption", "captions", *SIGHT.names]
    if table is None:
        return schema(1).empty_table().select(names)
    columns = table.search().select([name for name in names if name in table.schema.names]).to_arrow()
    for field in SIGHT:
        if field.name not in columns.column_names:
            columns = columns.append_column(field, pa.nulls(len(columns), field.type))
    last = {path: place for place, path in enumerate(columns["path"].to_pylist())}
    return columns.take(pa.array([last[path] for path in sorted(last)], pa.int64()))


def add_sight(store: Store, table: Any) -> None:
    """The columns of what images show, all null, in a table of an older showtell."""
    if missing := [field for field in SIGHT if field.name not in table.schema.names]:
        with changing(store.folder):
            table.add_columns(missing)
