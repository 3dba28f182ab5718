"""The update of tables, one per model: rows are only added until all are there, then outdated ones are
removed. A file is read once for all models.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from showtell.data.images.decode import ImageError
from showtell.data.prefetch import prefetch
from showtell.library.encoder import Indexer
from showtell.library.failures import changing, reading
from showtell.library.manifest import VectorSet
from showtell.library.removal import check_removal, is_gone, is_hidden
from showtell.library.rows import Content, File, encoded_of, finite_rows, moved_rows, new_rows, where_id
from showtell.library.scan import Reader, UnreadError, is_text
from showtell.library.store import Store
from showtell.library.stored_rows import read_rows
from showtell.progress import report
from showtell.wording import one_line

logger = logging.getLogger(__name__)

BATCH = 32
# Every commit makes a version and a file, so rows are collected first, but not for long.
COMMIT_ROWS, COMMIT_SECONDS = 256, 5.0

Commit = Callable[[], None]


class Run:
    """Gives each file a row in one table. A process killed at any moment loses no committed row."""

    def __init__(
        self, store: Store, target: VectorSet, indexer: Indexer, files: Sequence[File], committed: Commit
    ) -> None:
        self.target, self.indexer, self.files = target, indexer, files
        self.table = store.table(target)
        self.done = 0
        """Files that are on disk, unchanged or skipped."""
        self.unread: dict[Path, File] = {}
        """Those that are new or changed."""
        self.skipped: dict[Path, str] = {}
        self.unreadable: set[Path] = set()
        self.added: set[Path] = set()
        self.updated: set[Path] = set()
        self.unchanged: set[Path] = set()
        self.removed = 0
        self._store, self._committed = store, committed
        self._old = read_rows(store, self.table)
        self._row_of = {row.file.path: row for row in self._old}  # of two rows, the later one
        self.id_of = {row.digest: row.id for row in self._old}
        """A row of every content that has one."""
        self._written: dict[Path, bytes] = {}
        self._pending: list[pa.Table] = []
        self._committed_at = time.monotonic()
        self._fresh: dict[bytes, Content] = {}  # what the next batch encodes,
        self._owners: list[tuple[File, bytes]] = []  # and for which files
        self._known: list[tuple[File, bytes]] = []
        for file in files:
            row = self._row_of.get(file.path)
            if not is_text(file.path):
                self.skipped[file.path] = "its name is not valid UTF-8; rename it"
            elif row is None or (row.file.size, row.file.mtime_ns) != (file.size, file.mtime_ns):
                self.unread[file.path] = file
            elif row.file.captions != file.captions or (indexer.captions and row.caption is None):
                self._known.append((file, row.digest))
            else:
                self.unchanged.add(file.path)

    def take(self, path: Path, content: bytes | Content | ImageError) -> None:
        """What a file holds, if it is one of `unread`; a batch of new contents is encoded."""
        if (file := self.unread.get(path)) is None:
            return
        if isinstance(content, ImageError):
            self.skipped[path] = content.reason
            if isinstance(content, UnreadError) and not is_gone(path):
                self.unreadable.add(path)
        elif isinstance(content, bytes):
            self._known.append((file, content))
        elif content.digest in self.id_of:  # encoded since, from another file
            self._known.append((file, content.digest))
        else:
            self._fresh[content.digest] = content
            self._owners.append((file, content.digest))
        if len(self._fresh) == BATCH:
            self._add_fresh()

    def finish(self) -> None:
        """Give every file a row that has none yet."""
        if self._fresh:
            self._add_fresh()
        # Now every content has a row, and `remove` has not yet deleted those of moved files.
        for start in range(0, len(self._known), BATCH):
            self._add_known(self._known[start : start + BATCH])
        self._commit()

    def digests(self) -> set[bytes]:
        """The contents that have a row once `remove` is done."""
        kept = {self._row_of[path].digest for path in self.unchanged - self._written.keys()}
        return kept | set(self._written.values())

    def remove(self, folder: Path, prune: bool = False) -> None:
        """Delete the rows of files that are gone, were moved, hold no image now, or have a newer row.

        Those of files that cannot be read stay. Raises `UserError` before anything is deleted if too many
        would be, unless `prune`.
        """
        digests = self.digests()
        outdated: list[int] = []
        lost: list[Path] = []
        hidden: list[Path] = []
        for row in self._old:
            path = row.file.path
            latest = self._row_of[path] is row
            if path in self._written or path in self.unchanged:
                outdated += [row.id] * (path in self._written or not latest)
            elif path in self.skipped or folder in path.parents or (row.digest in digests and is_gone(path)):
                if path in self.unreadable or is_hidden(path, folder):
                    hidden += [path] * latest
                    continue
                outdated.append(row.id)
                self.removed += latest
                lost += [path] * (latest and row.digest not in digests)
        if hidden:
            logger.warning(
                "%d stored images cannot be read now and stay, the first: %s",
                len(hidden),
                one_line(hidden[0]),
            )
        if not prune:
            check_removal(lost, sum(folder in path.parents for path in self._row_of), str(folder))
        with changing(self._store.folder):
            for start in range(0, len(outdated), 1000):
                self.table.delete(where_id(outdated[start : start + 1000]))

    def _add_fresh(self) -> None:
        fresh, owners = self._fresh, self._owners
        self._fresh, self._owners = {}, []
        encoder, look = self.indexer.encoder, self.indexer.look
        encoded = encoder.encode([content.prepared for content in fresh.values()])
        captions = encoder.best_captions(encoded) if self.indexer.captions else [None] * len(fresh)
        encoded = encoded.to("cpu")
        sights = look(encoded) if look else None
        place = {digest: i for i, digest in enumerate(fresh)}
        finite = finite_rows(encoded)
        for file, digest in owners:
            if not finite[place[digest]]:
                self.skipped[file.path] = "the model returned a vector that is not finite"
        owners = [owner for owner in owners if owner[0].path not in self.skipped]
        which = [place[digest] for _, digest in owners]
        rows = new_rows(
            [file for file, _ in owners],
            [fresh[digest] for _, digest in owners],
            encoded[which],
            [captions[i] for i in which],
            [sights[i] for i in which] if sights else None,
            model=self.target.model,
            preprocessing=self.target.preprocessing,
        )
        self.id_of.update(zip(rows["hash"].to_pylist(), rows["id"].to_pylist(), strict=True))
        self._write(rows, owners)

    def _add_known(self, known: Sequence[tuple[File, bytes]]) -> None:
        """Add rows of files whose content has a row already, with its vectors and caption."""
        if self._pending:
            self._commit()
        indexer, ids = self.indexer, [self.id_of[digest] for _, digest in known]
        with reading(self._store.folder):
            found = self.table.search().where(where_id(set(ids))).to_arrow()
        place = {id: i for i, id in enumerate(found["id"].to_pylist())}
        rows = found.take([place[id] for id in ids])
        captions = rows["caption"].to_pylist()
        missing = [i for i, caption in enumerate(captions) if caption is None] if indexer.captions else []
        if missing:
            new = indexer.encoder.best_captions(encoded_of(rows.take(missing)))
            for i, caption in zip(missing, new, strict=True):
                captions[i] = caption
        self._write(moved_rows(rows, [file for file, _ in known], captions), known)

    def _write(self, rows: pa.Table, owners: Sequence[tuple[File, bytes]]) -> None:
        captions = rows["caption"].to_pylist()
        for (file, digest), caption in zip(owners, captions, strict=True):
            old = self._row_of.get(file.path)
            if old is None:
                self.added.add(file.path)
            elif (old.digest, old.file.captions, old.caption) != (digest, file.captions, caption):
                self.updated.add(file.path)
            else:
                self.unchanged.add(file.path)  # only its time has changed
            self._written[file.path] = digest
        self._pending.append(rows)
        waiting = sum(map(len, self._pending))
        if waiting >= COMMIT_ROWS or time.monotonic() - self._committed_at > COMMIT_SECONDS:
            self._commit()

    def _commit(self) -> None:
        """Write the pending rows to disk, where nothing can lose them."""
        if any(map(len, self._pending)):
            rows = pa.concat_tables(self._pending)
            if self.table is None:
                width = rows.schema.field("vector").type.list_size
                self.table = self._store.begin(self.target, width)
            with changing(self._store.folder):
                self.table.add(rows)
            self._pending = []
        self._committed_at = time.monotonic()
        self.done = len(self.added) + len(self.updated) + len(self.unchanged) + len(self.skipped)
        self._committed()


def add_all(runs: Sequence[Run], max_pixels: int) -> None:
    """Give every file of each run a row, or a reason to skip it."""
    read = Reader([run.indexer.encoder for run in runs], [run.id_of for run in runs], max_pixels)

    def attempt(path: Path) -> tuple[Path, Sequence[bytes | Content | ImageError]]:
        try:
            return path, read(path)
        except ImageError as error:
            return path, [error] * len(runs)

    for path, contents in prefetch(attempt, dict.fromkeys(path for run in runs for path in run.unread)):
        for run, content in zip(runs, contents, strict=True):
            run.take(path, content)
    for run in runs:
        run.finish()


def report_slowest(runs: Sequence[Run]) -> None:
    """Report as much progress as every model has made."""
    slowest = min(runs, key=lambda run: run.done / max(len(run.files), 1))
    report("indexing images", slowest.done, len(slowest.files))
