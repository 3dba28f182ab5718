"""Indexing: bring a library up to date with a folder of images."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from showtell.data.images.decode import MAX_PIXELS
from showtell.errors import UserError
from showtell.library.encoder import LibraryEncoder
from showtell.library.manifest import Manifest, VectorSet
from showtell.library.rows import File
from showtell.library.run import Row, Run, read_rows
from showtell.library.scan import absolute, file_at, find_files, printable
from showtell.library.search import Library
from showtell.library.store import SKIPPED, Store, table_name, table_prefix
from showtell.writing import replacing

LOST = "its old table could not be read, so the library holds this folder only; index other folders again"


@dataclass(frozen=True)
class IndexReport:
    """The outcome of indexing: `total = added + updated + unchanged + skipped`."""

    added: int
    updated: int
    removed: int
    """Rows of files that are gone or no longer readable; not part of the total."""
    unchanged: int
    skipped: int
    total: int
    seconds: float
    lost: str | None = None
    """A message if `rebuild` could not read the old table, and so lost the images of other folders."""
    beside: tuple[str, ...] = ()
    """If the library had no vectors of this model before: the models whose vectors it has."""


def index(
    folder: Path | str,
    library_dir: Path | str,
    encoder: LibraryEncoder,
    *,
    captions: bool = True,
    own_captions: Mapping[Path, Sequence[str]] | None = None,
    keep_captions: bool = False,
    max_pixels: int = MAX_PIXELS,
    rebuild: bool = False,
) -> IndexReport:
    """Create a library of a folder's images, or update this model's vectors in it; other models' stay.

    An image with an unchanged path, size and time is not read again; one whose content is known under another
    path keeps its vectors. Images of other folders stay unless the file was moved into this one; a model that
    is new to the library takes them over from the set indexed last. `rebuild`, or a changed preprocessing,
    makes new vectors beside the present ones, which stay in use until the new set is complete. Unreadable
    images are listed in `skipped.jsonl`.

    With `captions` the model captions every image. `own_captions` are the person's; with `keep_captions`
    those stored earlier are kept for images without any. Progress counts the images that are on disk,
    unchanged or skipped.

    Raises `UserError` if there is no such folder, it is not a library, or another process is writing.
    """
    started = time.monotonic()
    folder, library_dir = Path(folder).resolve(), Path(library_dir).resolve()
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}")
    with Store.writing(library_dir) as store:
        manifest = store.manifest()
        tables = [known.table for known in manifest.sets]
        present = manifest.of(encoder)
        target = _target(store, present, encoder, captions, rebuild)
        store.drop_all_but(target.table, *tables)
        if not manifest.sets:
            store.publish(Manifest((target,)))  # a new library can be searched while it grows
        own = {absolute(path): tuple(texts) for path, texts in (own_captions or {}).items()}
        if keep_captions:
            own = _stored_captions(store, manifest) | own
        files = find_files(folder, library_dir, own)
        lost = None
        if manifest.sets and target.table not in tables:
            try:
                files += _elsewhere(store, present or manifest.sets[-1], folder)
            except UserError as error:  # an unreadable table is a reason to rebuild
                if not rebuild:
                    raise
                lost = f"{LOST} ({error.__cause__})".partition("\n")[0]
        run = Run(store, target, encoder, captions, max_pixels)
        run.add(files)
        run.remove(folder)
        if run.table is not None:
            store.tidy(run.table)
        images = _digest(read_rows(store, run.table))
        store.publish(manifest.having(replace(target, images=images)))
        with replacing(library_dir / SKIPPED) as file:
            for path, reason in run.skipped.items():
                file.write(json.dumps({"path": printable(path), "reason": reason}).encode() + b"\n")
        Library.open(library_dir)  # derives the unit vectors now, not in the first search
    return IndexReport(
        added=len(run.added),
        updated=len(run.updated),
        removed=run.removed,
        unchanged=len(run.unchanged),
        skipped=len(run.skipped),
        total=len(files),
        seconds=round(time.monotonic() - started, 3),
        lost=lost,
        beside=() if present else tuple(known.name for known in manifest.sets if known.model != encoder.hash),
    )


def _target(
    store: Store, present: VectorSet | None, encoder: LibraryEncoder, captions: bool, rebuild: bool
) -> VectorSet:
    """The table to write: the model's own, one begun for it earlier, or a new one."""
    maker = (encoder.hash, encoder.preprocessing)
    begun = [name for name in store.names() if name.startswith(table_prefix(*maker))]
    if present:
        begun, captions = [present.table], captions or present.captioned
    table = begun[0] if begun and not rebuild else table_name(*maker)
    return VectorSet(table, *maker, encoder.name, captions)


def _elsewhere(store: Store, known: VectorSet, folder: Path) -> list[File]:
    """A set's images of other folders, which a new table takes over."""
    rows = read_rows(store, store.table(known.table))
    others = {row.file.path: row.file.captions for row in rows if folder not in row.file.path.parents}
    return [file_at(path, own) for path, own in others.items() if path.is_file()]


def _stored_captions(store: Store, manifest: Manifest) -> dict[Path, tuple[str, ...]]:
    """The person's captions of every image that has some; of several sets, the one indexed last counts."""
    stored: dict[Path, tuple[str, ...]] = {}
    for known in manifest.sets:
        with suppress(UserError):  # a damaged table is reported where its rows are needed
            stored |= {row.file.path: row.file.captions for row in read_rows(store, store.table(known.table))}
    return stored


def _digest(rows: Sequence[Row]) -> str:
    """A digest of the images, their paths and the person's captions."""
    facts = sorted((str(row.file.path), row.digest.hex(), row.file.captions) for row in rows)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
