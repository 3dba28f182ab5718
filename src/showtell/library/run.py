"""The update of one table: rows are only added until all are there, then outdated ones are removed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from showtell.data.images.decode import ImageError
from showtell.data.prefetch import prefetch
from showtell.library.encoder import LibraryEncoder
from showtell.library.failures import changing, reading
from showtell.library.manifest import VectorSet
from showtell.library.removal import check_removal, is_gone, is_hidden
from showtell.library.rows import Content, File, encoded_of, finite_rows, moved_rows, new_rows, where_id
from showtell.library.scan import Reader, UnreadError, is_text
from showtell.library.sight import Sight
from showtell.library.store import Store
from showtell.library.stored_rows import read_rows
from showtell.progress import report
from showtell.protocols import Encoded
from showtell.wording import one_line

logger = logging.getLogger(__name__)

BATCH = 32
# Every commit makes a version and a file, so rows are collected first, but not for long.
COMMIT_ROWS, COMMIT_SECONDS = 256, 5.0


class Run:
    """Gives each file a row. A process killed at any moment loses no committed row."""

    def __init__(
        self,
        store: Store,
        target: VectorSet,
        encoder: LibraryEncoder,
        captions: bool,
        max_pixels: int,
        look: Callable[[Encoded], list[Sight]] | None = None,
    ) -> None:
        self.table = store.table(target)
        self.skipped: dict[Path, str] = {}
        self.unread: set[Path] = set()
        self.added: set[Path] = set()
        self.updated: set[Path] = set()
        self.unchanged: set[Path] = set()
        self.removed = 0
        self._store, self._target, self._encoder = store, target, encoder
        self._captions, self._max_pixels, self._look = captions, max_pixels, look
        self._old = read_rows(store, self.table)
        self._row_of = {row.file.path: row for row in self._old}  # of two rows, the later one
        self._id_of = {row.digest: row.id for row in self._old}
        self._written: dict[Path, bytes] = {}
        self._pending: list[pa.Table] = []
        self._total = 0
        self._committed_at = time.monotonic()

    def add(self, files: Sequence[File]) -> None:
        """Give every file a row, or a reason to skip it."""
        self._total = len(files)
        unread: list[File] = []
        known: list[tuple[File, bytes]] = []
        for file in files:
            row = self._row_of.get(file.path)
            if not is_text(file.path):
                self.skipped[file.path] = "its name is not valid UTF-8; rename it"
            elif row is None or (row.file.size, row.file.mtime_ns) != (file.size, file.mtime_ns):
                unread.append(file)
            elif row.file.captions != file.captions or (self._captions and row.caption is None):
                known.append((file, row.digest))
            else:
                self.unchanged.add(file.path)
        known += self._add_unread(unread)
        # Now every content has a row, and `remove` has not yet deleted those of moved files.
        for start in range(0, len(known), BATCH):
            self._add_known(known[start : start + BATCH])
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
                if path in self.unread or is_hidden(path, folder):
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

    def _add_unread(self, files: Sequence[File]) -> list[tuple[File, bytes]]:
        """Read files, encode new contents, and return the files whose content is known."""
        known: list[tuple[File, bytes]] = []
        fresh: dict[bytes, Content] = {}
        owners: list[tuple[File, bytes]] = []
        read = Reader(self._encoder, self._id_of, self._max_pixels)

        def attempt(file: File) -> tuple[File, bytes | Content | ImageError]:
            try:
                return file, read(file.path)
            except ImageError as error:
                return file, error

        for file, content in prefetch(attempt, files):
            if isinstance(content, ImageError):
                self.skipped[file.path] = content.reason
                if isinstance(content, UnreadError) and not is_gone(file.path):
                    self.unread.add(file.path)
            elif isinstance(content, bytes):
                known.append((file, content))
            elif content.digest in self._id_of:  # encoded since, from another file
                known.append((file, content.digest))
            else:
                fresh[content.digest] = content
                owners.append((file, content.digest))
            if len(fresh) == BATCH:
                self._add_fresh(fresh, owners)
                fresh, owners = {}, []
        if fresh:
            self._add_fresh(fresh, owners)
        return known

    def _add_fresh(self, fresh: dict[bytes, Content], owners: Sequence[tuple[File, bytes]]) -> None:
        encoded = self._encoder.encode([content.prepared for content in fresh.values()])
        captions = self._encoder.best_captions(encoded) if self._captions else [None] * len(fresh)
        encoded = encoded.to("cpu")
        sights = self._look(encoded) if self._look else None
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
            model=self._target.model,
            preprocessing=self._target.preprocessing,
        )
        self._id_of.update(zip(rows["hash"].to_pylist(), rows["id"].to_pylist(), strict=True))
        self._write(rows, owners)

    def _add_known(self, known: Sequence[tuple[File, bytes]]) -> None:
        """Add rows of files whose content has a row already, with its vectors and caption."""
        if self._pending:
            self._commit()
        ids = [self._id_of[digest] for _, digest in known]
        with reading(self._store.folder):
            found = self.table.search().where(where_id(set(ids))).to_arrow()
        place = {id: i for i, id in enumerate(found["id"].to_pylist())}
        rows = found.take([place[id] for id in ids])
        captions = rows["caption"].to_pylist()
        missing = [i for i, caption in enumerate(captions) if caption is None] if self._captions else []
        if missing:
            new = self._encoder.best_captions(encoded_of(rows.take(missing)))
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
                self.table = self._store.begin(self._target, width)
            with changing(self._store.folder):
                self.table.add(rows)
            self._pending = []
        self._committed_at = time.monotonic()
        done = len(self.added) + len(self.updated) + len(self.unchanged) + len(self.skipped)
        report("indexing images", done, self._total)
