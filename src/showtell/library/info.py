"""Facts of a library: its models, counts, sizes and dates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from showtell.library.failures import reading
from showtell.library.manifest import FORMAT, VectorSet
from showtell.library.store import SKIPPED, Store


@dataclass(frozen=True)
class SetInfo:
    """The vectors of one model."""

    model: str
    """Name of the model, which `forget` takes."""
    hash: str
    """SHA-256 of the parameters."""
    preprocessing: str
    indexed: str
    """When the set was last written, as ISO 8601; empty before the first image."""
    images: int
    captioned: bool
    """Whether the model also captioned the images."""
    width: int | None
    """Numbers per vector; None before the first image."""
    tokens: int | None
    """Vectors per image: 1, or those of all patches."""
    bytes: int
    up_to_date: bool
    """Whether it holds the images of the set indexed last."""


@dataclass(frozen=True)
class LibraryInfo:
    """A library."""

    library: str
    format: int
    newest: str
    """The model that indexed last."""
    bytes: int
    """On disk, everything included."""
    skipped: int
    """Images that could not be read when they were last indexed, listed in `skipped.jsonl`."""
    sets: list[SetInfo]


def library_info(library: Path | str) -> LibraryInfo:
    """The models, counts, sizes and versions of a library.

    Raises `UserError` if the folder is not a library, or a table cannot be read.
    """
    store = Store.open(library)
    manifest = store.manifest()
    log = store.folder / SKIPPED
    return LibraryInfo(
        library=str(library),
        format=FORMAT,
        newest=manifest.sets[-1].name,
        bytes=_size(store.folder.rglob("*")),
        skipped=len(log.read_bytes().splitlines()) if log.exists() else 0,
        sets=[_set_info(store, known, manifest.ahead_of(known) is None) for known in manifest.sets],
    )


def _set_info(store: Store, known: VectorSet, up_to_date: bool) -> SetInfo:
    table = store.table(known)
    images, width, tokens = 0, None, None
    if table is not None:
        with reading(store.folder):
            images = table.count_rows()
            width = table.schema.field("vector").type.list_size
            counts = table.search().select(["num_tokens"]).limit(1).to_arrow()["num_tokens"].to_pylist()
            tokens = counts[0] if counts else None
    versions = [file.stat().st_mtime for file in store.folder.glob(f"{known.table}.lance/_versions/*")]
    files = [file for path in store.folder.glob(f"{known.table}*") for file in (path, *path.rglob("*"))]
    return SetInfo(
        model=known.name,
        hash=known.model,
        preprocessing=known.preprocessing,
        indexed=datetime.fromtimestamp(max(versions), UTC).isoformat("T", "seconds") if versions else "",
        images=images,
        captioned=known.captioned,
        width=width,
        tokens=tokens,
        bytes=_size(files),
        up_to_date=up_to_date,
    )


def _size(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files if file.is_file())
