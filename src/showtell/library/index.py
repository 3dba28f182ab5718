"""Indexing: bring a library up to date with a folder of images."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from showtell.data.images.decode import MAX_PIXELS
from showtell.errors import UserError
from showtell.library.encoder import LibraryEncoder, require_model
from showtell.library.failures import DamagedError, changing
from showtell.library.manifest import EMPTY, Manifest, VectorSet
from showtell.library.recovery import recovered
from showtell.library.removal import check_removal, is_gone
from showtell.library.respaced import respace
from showtell.library.rows import File
from showtell.library.run import Run
from showtell.library.scan import absolute, file_at, find_files, printable
from showtell.library.search import Library
from showtell.library.sight import Sight
from showtell.library.store import SKIPPED, Store, table_name, table_prefix
from showtell.library.stored_rows import Row, add_sight, read_rows
from showtell.protocols import Encoded
from showtell.wording import one_line
from showtell.writing import replacing

logger = logging.getLogger(__name__)

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
    look: Callable[[Encoded], list[Sight]] | None = None,
    own_captions: Mapping[Path, Sequence[str]] | None = None,
    keep_captions: bool = False,
    max_pixels: int = MAX_PIXELS,
    rebuild: bool = False,
    prune: bool = False,
) -> IndexReport:
    """Create a library of a folder's images, or update this model's vectors in it; other models' stay.

    An image with an unchanged path, size and time is not read again; one whose content is known under another
    path keeps its vectors. Images of other folders stay unless the file was moved into this one; a model that
    is new to the library takes them over from the set indexed last. `rebuild`, or a changed preprocessing,
    makes new vectors beside the present ones, which stay in use until the new set is complete. Unreadable
    images are listed in `skipped.jsonl`, and stay if they were stored before.

    With `captions` the model captions every image. `own_captions` are the person's; with `keep_captions`
    those stored earlier are kept for images without any. `look` tells what encoded images show, which is
    stored; images stored before without it are counted in a warning. Progress counts the images that are on
    disk, unchanged or skipped.

    Raises `UserError` if there is no such folder, it is not a library, or another process is writing; and,
    unless `prune`, before it removes all images stored from the folder, or more than a quarter of them and
    more than 10: a drive may not be connected.
    """
    require_model(encoder)
    started = time.monotonic()
    for place in (Path(library_dir), *Path(library_dir).parents):
        if place.is_symlink() and is_gone(place):
            raise UserError(f"{place} is a link to {place.readlink()}, which is not there; connect its drive")
    folder, library_dir = Path(folder).resolve(), Path(library_dir).resolve()
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}")
    with Store.writing(library_dir) as store:
        try:
            manifest = store.manifest()
        except DamagedError:
            if not rebuild:
                raise
            manifest = recovered(store)
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
        old: list[Row] = []
        if manifest.sets and target.table not in tables:
            replaced = next((known for known in manifest.sets if known.model == encoder.hash), None)
            try:
                old = read_rows(store, store.table(replaced)) if replaced else []
                files += _elsewhere(store, present or manifest.sets[-1], folder)
            except DamagedError as error:  # a reason to rebuild
                if not rebuild:
                    raise
                lost = f"{LOST} ({error.reason})"
        run = Run(store, target, encoder, captions, max_pixels, look)
        if run.table is not None:
            add_sight(store, run.table)
            respace(store, run.table)
        run.add(files)
        if not prune:
            _check_replacement(old, run, folder)
        run.remove(folder, prune)
        if run.table is not None:
            store.tidy(run.table)
        images = _digest(read_rows(store, run.table))
        store.publish(manifest.having(replace(target, images=images)))
        with changing(library_dir), replacing(library_dir / SKIPPED) as file:
            for path, reason in run.skipped.items():
                file.write(json.dumps({"path": printable(path), "reason": reason}).encode() + b"\n")
        indexed = Library.open(library_dir)  # derives the unit vectors now, not in the first search
        if look and indexed.unseen:
            logger.warning("%s", indexed.unseen)
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
    images = present.images if present and not rebuild else EMPTY
    return VectorSet(table, *maker, encoder.name, captions, images)


def _elsewhere(store: Store, known: VectorSet, folder: Path) -> list[File]:
    """A set's images of other folders, which a new table takes over."""
    rows = read_rows(store, store.table(known))
    others = {row.file.path: row.file.captions for row in rows if folder not in row.file.path.parents}
    gone = [path for path in others if is_gone(path)]
    if gone:
        logger.warning(
            "%d images of other folders are not there now and get no new vectors, the first: %s",
            len(gone),
            one_line(gone[0]),
        )
    return [file_at(path, own) for path, own in others.items() if path not in set(gone)]


def _check_replacement(old: Sequence[Row], run: Run, folder: Path) -> None:
    """Raises `UserError` if a set's new table lacks unreadable images of its old one, or too many."""
    digests, lost = run.digests(), []
    for path in dict.fromkeys(row.file.path for row in old if row.digest not in digests):
        if path in run.unread:
            raise UserError(
                f"{path}: {run.skipped[path]}; new vectors would replace the old ones without it. Make it "
                "readable, or run it again with --prune (in Python: prune=True) to drop it"
            )
        if path in run.skipped or is_gone(path):
            lost.append(path)
    stored = {row.file.path for row in old}
    here = {path for path in stored if folder in path.parents}
    check_removal([path for path in lost if path in here], len(here), str(folder))
    check_removal([path for path in lost if path not in here], len(stored - here), "other folders")


def _stored_captions(store: Store, manifest: Manifest) -> dict[Path, tuple[str, ...]]:
    """The person's captions of every image that has some; of several sets, the one indexed last counts."""
    stored: dict[Path, tuple[str, ...]] = {}
    for known in manifest.sets:
        try:
            stored |= {row.file.path: row.file.captions for row in read_rows(store, store.table(known))}
        except DamagedError as error:  # raised where its rows are needed
            logger.warning("captions stored with the vectors of %s are lost: %s", known.name, error.reason)
    return stored


def _digest(rows: Sequence[Row]) -> str:
    """A digest of the images, their paths and the person's captions."""
    facts = sorted((str(row.file.path), row.digest.hex(), row.file.captions) for row in rows)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
