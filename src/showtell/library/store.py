"""The folder of a library: manifest, tables and lock."""

from __future__ import annotations

import hashlib
import mmap
import secrets
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import filelock
import lancedb
from lancedb.index import IvfHnswSq

from showtell.errors import UserError
from showtell.library.failures import DamagedError, changing, failure, reading
from showtell.library.manifest import Manifest, VectorSet
from showtell.library.rows import schema
from showtell.library.text import CAPTION_INDEX, index_error
from showtell.wording import index_command
from showtell.writing import replacing

MEMORY = 2**28
"""Bytes of memory that must be free before LanceDB starts; of 2**27 it started, of 2**25 it did not."""
MANIFEST = "library.json"
LOCK = "lock"
SKIPPED = "skipped.jsonl"

# Compaction rewrites what it joins, so it waits until it pays off.
MAX_FRAGMENTS = 16
MAX_VERSIONS = 48

# The number of images from which LanceDB's vector index replaces the exact product. Here it takes 0.3 of the
# time at a recall of 0.91; at 100,000 it saves a third of a few milliseconds, and takes minutes to build
# (`benchmarks/library_search.py --index`).
APPROXIMATE_FROM = 500_000


class Store:
    """The files of one library.

    A table holds the vectors of one model. A new table, of another model or a rebuilt one, is made beside the
    others and becomes part of the library when `publish` replaces the manifest atomically.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        with reading(self.folder):
            mmap.mmap(-1, MEMORY).close()  # short of memory, LanceDB ends the process or waits for ever
            self._tables = lancedb.connect(str(self.folder))

    @classmethod
    def open(cls, folder: Path | str) -> Store:
        """An existing library. Raises `UserError` for another folder, and for one that cannot be read."""
        folder, holds = Path(folder), cls._held(folder)
        if _is_library(holds):
            return cls(folder)
        if {"config.json", "model.safetensors"} <= holds:
            raise UserError(f"{folder} holds a model, not a library; name the folder of a library")
        if holds:
            raise UserError(f"{folder} is not a library but a folder of other files; name another")
        raise UserError(f"there is no library {folder}; make one with: {index_command(folder)}")

    @classmethod
    def fits(cls, folder: Path | str) -> bool:
        """Whether a library is there already; a new one may be made in an empty folder, or where none is.

        Raises `UserError` for a file, and for a folder that holds something else or cannot be read.
        """
        names = cls._held(folder)
        others = {name for name in names - {LOCK} if not name.startswith(f".{MANIFEST}.")}
        if others and not _is_library(names):
            raise UserError(f"{folder} holds other files and is not a library; name a new folder")
        return _is_library(names)

    @staticmethod
    def _held(folder: Path | str) -> set[str]:
        """The names in a folder, which need not be there."""
        folder = Path(folder)
        with reading(folder):
            if folder.is_file():
                raise UserError(f"{folder} is a file, not a library; name the folder of a library")
            return _names(folder) if folder.is_dir() else set()

    @classmethod
    @contextmanager
    def writing(cls, folder: Path | str) -> Iterator[Store]:
        """A library locked for one writer, created if necessary.

        Raises `UserError` if another process is writing, or the folder holds something else.
        """
        folder = Path(folder)
        lock = filelock.FileLock(folder / LOCK)
        try:
            cls.fits(folder)
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(blocking=False)
        except filelock.Timeout:
            raise UserError(
                f"another process is writing to {folder}; wait for it or stop it, and try again"
            ) from None
        except (OSError, NotImplementedError) as error:
            raise failure(folder, error, "write") from None
        try:
            yield cls(folder)
        finally:
            lock.release()

    def manifest(self) -> Manifest:
        """The manifest, empty before the first index.

        Raises `DamagedError` if it is damaged, or missing beside tables; `UserError` if it cannot be read.
        """
        path = self.folder / MANIFEST
        try:
            return Manifest.from_json(path.read_text(encoding="utf-8"), self.folder)
        except FileNotFoundError:
            if self.names():
                raise DamagedError(self.folder, f"{path} is missing") from None
            return Manifest()
        except IsADirectoryError:
            raise DamagedError(self.folder, f"{path} is a folder") from None
        except OSError as error:
            raise failure(path, error, "read") from None
        except UnicodeDecodeError:
            raise DamagedError(self.folder, f"{path} is not UTF-8") from None
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise DamagedError(self.folder, f"{path} is damaged: {error!r}") from None

    def publish(self, manifest: Manifest) -> None:
        """Replace the manifest, atomically and durably."""
        with changing(self.folder), replacing(self.folder / MANIFEST) as file:
            file.write(manifest.to_json().encode())

    def names(self) -> list[str]:
        """The names of all tables, unfinished ones included. Raises `UserError` if they cannot be listed."""
        with reading(self.folder):
            found = sorted(filter(_is_table, _names(self.folder)))
            return [name.removesuffix(".lance") for name in found if self._has_version(name)]

    def _has_version(self, name: str) -> bool:
        try:
            return bool(_names(self.folder / name / "_versions"))
        except (FileNotFoundError, NotADirectoryError):  # begun, or being removed
            return False

    def table(self, known: VectorSet) -> Any:
        """A set's table at its latest version; None if no image was stored yet.

        Raises `DamagedError` if it is missing or damaged, `UserError` if it cannot be read.
        """
        if known.table not in self.names():
            if known.empty:
                return None
            raise DamagedError(self.folder, f"{known.table}.lance, the vectors of {known.name}, is missing")
        with reading(self.folder):
            return self._tables.open_table(known.table)

    def begin(self, target: VectorSet, width: int) -> Any:
        """A set's table, new and empty, for vectors of `width` numbers."""
        shutil.rmtree(
            self.folder / f"{target.table}.lance", ignore_errors=True
        )  # left without a first version
        with changing(self.folder):
            table = self._tables.create_table(target.table, schema=schema(width))
        self.publish(self.manifest().with_table(target))
        return table

    def drop_all_but(self, *keep: str) -> None:
        """Delete all other tables and the files derived from them."""
        for path in self.folder.glob("images-*"):
            if not path.name.startswith(keep):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    with suppress(OSError):  # Windows keeps what another process has open
                        path.unlink(missing_ok=True)

    def tidy(self, table: Any) -> None:
        """Create missing, damaged and outdated indices; compact files and drop old versions of many."""
        with changing(self.folder):
            self._tidy(table)

    def _tidy(self, table: Any) -> None:
        if index_error(table) or _unindexed(table, "text"):
            table.create_index("text", config=CAPTION_INDEX)
        if "vector" not in indexed_columns(table) and table.count_rows() >= APPROXIMATE_FROM:
            table.create_index("vector", config=IvfHnswSq(distance_type="cosine"))
        fragments = table.stats()["fragment_stats"]["num_fragments"]
        versions = sum(1 for _ in (self.folder / f"{table.name}.lance" / "_versions").iterdir())
        if fragments > MAX_FRAGMENTS or versions > MAX_VERSIONS:
            with warnings.catch_warnings():
                # It warns about readers of old versions; ours switch to the latest (`Library.open`).
                warnings.simplefilter("ignore", UserWarning)
                table.optimize(cleanup_older_than=timedelta(0))


def _unindexed(table: Any, column: str) -> bool:
    """Whether the column has no index, or rows that came after it, whose words it would not weigh alike."""
    for index in table.list_indices():
        if column in index.columns:
            return table.index_stats(index.name).num_unindexed_rows > 0
    return True


def indexed_columns(table: Any) -> set[str]:
    """The columns that have an index."""
    return {column for index in table.list_indices() for column in index.columns}


def table_name(model: str, preprocessing: str) -> str:
    """A new name starting with `table_prefix`."""
    return table_prefix(model, preprocessing) + secrets.token_hex(4)


def table_prefix(model: str, preprocessing: str) -> str:
    """The prefix of the names of all tables with a model's vectors."""
    return f"images-{hashlib.sha256(f'{model} {preprocessing}'.encode()).hexdigest()[:12]}-"


def _is_library(names: set[str]) -> bool:
    return MANIFEST in names or any(map(_is_table, names))


def _is_table(name: str) -> bool:
    return name.startswith("images-") and name.endswith(".lance")


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
