"""Indexing: bring a library up to date with a folder of images."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from showtell.data.images.decode import MAX_PIXELS
from showtell.errors import UserError
from showtell.library.encoder import Indexer, require_model
from showtell.library.failures import DamagedError, changing
from showtell.library.manifest import EMPTY, Manifest, VectorSet
from showtell.library.recovery import recovered
from showtell.library.removal import check_removal, is_gone
from showtell.library.respaced import respace
from showtell.library.rows import File
from showtell.library.run import Run, add_all, report_slowest
from showtell.library.scan import absolute, file_at, find_files
from showtell.library.search import Library
from showtell.library.store import SKIPPED, Store, table_name, table_prefix
from showtell.library.stored_rows import Row, add_sight, read_rows
from showtell.wording import one_line
from showtell.writing import replacing

logger = logging.getLogger(__name__)

LOST = "its old table could not be read, so the library holds this folder only; index other folders again"


@dataclass(frozen=True)
class IndexReport:
    """The outcome of indexing."""

    added: int
    updated: int
    removed: int
    """Rows of files that are gone or no longer readable; not part of the total."""
    unchanged: int
    skipped: int
    total: int
    """Images that are stored now: `added + updated + unchanged`."""
    seconds: float
    lost: str | None = None
    """A message if `rebuild` could not read the old table, and so lost the images of other folders."""
    beside: tuple[str, ...] = ()
    """If the library had no vectors of this model before: the models whose vectors it has."""


def index(
    folder: Path | str,
    library_dir: Path | str,
    indexers: Sequence[Indexer],
    *,
    own_captions: Mapping[Path, Sequence[str]] | None = None,
    keep_captions: bool = False,
    max_pixels: int = MAX_PIXELS,
    rebuild: bool = False,
    prune: bool = False,
) -> list[IndexReport]:
    """Create a library of a folder's images, or update these models' vectors in it; other models' stay.

    An image is read once for all models, and one with an unchanged path, size and time not again; one whose
    content is known under another path keeps its vectors. Images of other folders stay unless the file was
    moved into this one; a model that is new to the library takes them over from the set indexed last.
    `rebuild`, or a changed preprocessing, makes new vectors beside the present ones, which stay in use until
    the new sets are complete. Unreadable images are listed in `skipped.jsonl`, and stay if they were stored
    before.

    `own_captions` are the person's; with `keep_captions` those stored earlier are kept for images without
    any. Images that were stored before anyone could `look` are counted in a warning. Progress counts the
    images that are on disk for every model, unchanged or skipped.

    Raises `UserError` if there is no such folder (with `prune` one that is gone is empty), if it is not a
    library, or if another process is writing; and, unless `prune`, before it removes all images stored from
    the folder, or more than a quarter of them and more than 10: a drive may not be connected.
    """
    for each in indexers:
        require_model(each.encoder)
    started = time.monotonic()
    for place in (Path(library_dir), *Path(library_dir).parents):
        if place.is_symlink() and is_gone(place):
            raise UserError(f"{place} is a link to {place.readlink()}, which is not there; connect its drive")
    folder, library_dir = Path(folder).resolve(), Path(library_dir).resolve()
    if not folder.is_dir() and not (prune and is_gone(folder)):
        raise UserError(f"there is no folder {folder}")
    with Store.writing(library_dir) as store:
        try:
            manifest = store.manifest()
        except DamagedError:
            if not rebuild:
                raise
            manifest = recovered(store)
        targets = [_target(store, manifest, each, rebuild) for each in indexers]
        store.drop_all_but(*(known.table for known in (*targets, *manifest.sets)))
        if not manifest.sets:
            store.publish(Manifest(tuple(targets)))  # a new library can be searched while it grows
        own = {absolute(path): tuple(texts) for path, texts in (own_captions or {}).items()}
        if keep_captions:
            own = _stored_captions(store, manifest) | own
        files = find_files(folder, library_dir, own) if folder.is_dir() else []
        runs: list[Run] = []
        taken = [_taken_over(store, manifest, target, folder, rebuild) for target in targets]
        for each, target, (_, elsewhere, _) in zip(indexers, targets, taken, strict=True):
            run = Run(store, target, each, [*files, *elsewhere], partial(report_slowest, runs))
            if run.table is not None:
                add_sight(store, run.table)
                respace(store, run.table)
            runs.append(run)
        add_all(runs, max_pixels)
        if not prune:
            for run, (old, _, _) in zip(runs, taken, strict=True):
                _check_replacement(old, run, folder)
        published = manifest
        for run in runs:
            run.remove(folder, prune)
            if run.table is not None:
                store.tidy(run.table)
            images = _digest(read_rows(store, run.table))
            published = published.having(replace(run.target, images=images))
        store.publish(published)
        skipped = {path: reason for run in runs for path, reason in run.skipped.items()}
        entries = [{"path": str(path), "reason": reason} for path, reason in skipped.items()]
        entries += _skipped_elsewhere(library_dir, folder, {entry["path"] for entry in entries})
        with changing(library_dir), replacing(library_dir / SKIPPED) as file:
            file.writelines(json.dumps(entry).encode() + b"\n" for entry in entries)
        # Opening derives the unit vectors now, not in the first search.
        opened = [(Library.open(library_dir, each.encoder), each) for each in indexers]
        for unseen in filter(None, dict.fromkeys(library.unseen for library, each in opened if each.look)):
            logger.warning("%s", unseen)
    seconds = round(time.monotonic() - started, 3)
    return [_report(run, manifest, lost, seconds) for run, (_, _, lost) in zip(runs, taken, strict=True)]


def _skipped_elsewhere(library_dir: Path, folder: Path, known: set[str]) -> list[dict[str, str]]:
    """What earlier runs skipped in other folders, where the images still are."""
    log = library_dir / SKIPPED
    entries = [json.loads(line) for line in log.read_bytes().splitlines()] if log.exists() else []
    return [
        entry
        for entry in entries
        if entry["path"] not in known
        and not Path(entry["path"]).is_relative_to(folder)
        and Path(entry["path"]).exists()
    ]


def _report(run: Run, before: Manifest, lost: str | None, seconds: float) -> IndexReport:
    encoder = run.indexer.encoder
    others = tuple(known.name for known in before.sets if known.model != encoder.hash)
    return IndexReport(
        added=len(run.added),
        updated=len(run.updated),
        removed=run.removed,
        unchanged=len(run.unchanged),
        skipped=len(run.skipped),
        total=len(run.files) - len(run.skipped),
        seconds=seconds,
        lost=lost,
        beside=() if before.of(encoder) else others,
    )


def _target(store: Store, manifest: Manifest, indexer: Indexer, rebuild: bool) -> VectorSet:
    """The table to write: the model's own, one begun for it earlier, or a new one."""
    encoder, captions = indexer.encoder, indexer.captions
    maker = (encoder.hash, encoder.preprocessing)
    begun = [name for name in store.names() if name.startswith(table_prefix(*maker))]
    if present := manifest.of(encoder):
        begun, captions = [present.table], captions or present.captioned
    table = begun[0] if begun and not rebuild else table_name(*maker)
    images = present.images if present and not rebuild else EMPTY
    return VectorSet(table, *maker, encoder.name, captions, images)


def _taken_over(
    store: Store, manifest: Manifest, target: VectorSet, folder: Path, rebuild: bool
) -> tuple[list[Row], list[File], str | None]:
    """For a table that replaces another or is new to the library: the rows that it replaces, the images of
    other folders that it takes over, and a message if those are lost.
    """
    if not manifest.sets or target.table in {known.table for known in manifest.sets}:
        return [], [], None
    replaced = next((known for known in manifest.sets if known.model == target.model), None)
    same = replaced if replaced and replaced.preprocessing == target.preprocessing else None
    old: list[Row] = []
    try:
        old = read_rows(store, store.table(replaced)) if replaced else []
        return old, _elsewhere(store, same or manifest.sets[-1], folder), None
    except DamagedError as error:  # a reason to rebuild
        if not rebuild:
            raise
        return old, [], f"{LOST} ({error.reason})"


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
        if path in run.unreadable:
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
