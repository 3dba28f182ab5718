"""Bring a library into step with a folder: read what is new, keep what is known, drop what is gone."""

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
from showtell.library.store import Store, table_name, table_prefix
from showtell.writing import replacing

LOST = "its old table could not be read: the library holds this folder alone; index any other folder again"


@dataclass(frozen=True)
class IndexReport:
    """What became of the images found: `total = added + updated + unchanged + skipped`."""

    added: int
    updated: int
    removed: int
    """Rows of files that are gone, or that can no longer be read; not part of the total."""
    unchanged: int
    skipped: int
    total: int
    seconds: float
    lost: str | None = None
    """Said where `rebuild` could not read the old table, and so not carry over other folders' images."""
    beside: tuple[str, ...] = ()
    """Where the library had no vectors of this model yet: names of the models of which it had."""


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
    """Make a library of a folder's images, or bring this model's vectors up to date; other models' stay.

    An image whose path, size and time are the library's is not read. One whose content is known under
    another path keeps its vectors. Images of other folders stay, unless their file was moved into
    this one; a model that is new to the library takes them over from the set indexed last. `rebuild` makes
    this model's vectors beside the present ones, which answer until the new are complete; so does a model
    that now prepares its images otherwise. What could not be read is listed in `skipped.jsonl`.

    `captions` has the model caption every image; `own_captions` are what the folder itself says,
    and with `keep_captions` those that are stored of images which it says nothing of. Progress counts the
    images that are safe on disk, unchanged or skipped.

    Raises `UserError`: no such folder, not a library, another process is writing.
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
            store.publish(Manifest((target,)))  # a first library answers while it grows
        own = {absolute(path): tuple(texts) for path, texts in (own_captions or {}).items()}
        if keep_captions:
            own = _stored_captions(store, manifest) | own
        files = find_files(folder, library_dir, own)
        lost = None
        if manifest.sets and target.table not in tables:
            try:
                files += _elsewhere(store, present or manifest.sets[-1], folder)
            except UserError as error:  # a table too damaged to read is why one rebuilds
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
        with replacing(library_dir / "skipped.jsonl") as file:
            for path, reason in run.skipped.items():
                file.write(json.dumps({"path": printable(path), "reason": reason}).encode() + b"\n")
        Library.open(library_dir)  # derives what searches read, so that the first need not wait
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
    """The table to write: the model's own, one that was begun for it, or a new one."""
    maker = (encoder.hash, encoder.preprocessing)
    begun = [name for name in store.names() if name.startswith(table_prefix(*maker))]
    if present:
        begun, captions = [present.table], captions or present.captioned
    table = begun[0] if begun and not rebuild else table_name(*maker)
    return VectorSet(table, *maker, encoder.name, captions)


def _elsewhere(store: Store, known: VectorSet, folder: Path) -> list[File]:
    """A set's images of other folders, which a new table must hold too."""
    rows = read_rows(store, store.table(known.table))
    others = {row.file.path: row.file.captions for row in rows if folder not in row.file.path.parents}
    return [file_at(path, own) for path, own in others.items() if path.is_file()]


def _stored_captions(store: Store, manifest: Manifest) -> dict[Path, tuple[str, ...]]:
    """The person's captions of every image that has some; where sets differ, as indexed last."""
    stored: dict[Path, tuple[str, ...]] = {}
    for known in manifest.sets:
        with suppress(UserError):  # what a damaged table held is lost; whoever needs its rows says so
            stored |= {row.file.path: row.file.captions for row in read_rows(store, store.table(known.table))}
    return stored


def _digest(rows: Sequence[Row]) -> str:
    """The same for the same images at the same places with the same captions of the person."""
    facts = sorted((str(row.file.path), row.digest.hex(), row.file.captions) for row in rows)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
