"""The folder of a library: manifest, tables and lock."""

from __future__ import annotations

import hashlib
import secrets
import shlex
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
from showtell.library.manifest import Manifest
from showtell.library.rows import schema
from showtell.library.text import CAPTION_INDEX, index_error
from showtell.writing import replacing

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
        self._tables = lancedb.connect(str(self.folder))

    @classmethod
    def open(cls, folder: Path | str) -> Store:
        """An existing library. Raises `UserError` for another folder."""
        if not (Path(folder) / MANIFEST).is_file():
            raise UserError(
                f"{folder} is not a library; make one with: showtell index IMAGES --library {folder}"
            )
        return cls(folder)

    @classmethod
    @contextmanager
    def writing(cls, folder: Path | str) -> Iterator[Store]:
        """A library locked for one writer, created if necessary.

        Raises `UserError` if another process is writing, or the folder holds something else.
        """
        folder = Path(folder)
        lock = filelock.FileLock(folder / LOCK)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            names = {p.name for p in folder.iterdir()}
            others = {name for name in names - {LOCK} if not name.startswith(f".{MANIFEST}.")}
            if others and MANIFEST not in names:
                raise UserError(f"{folder} holds other files and is not a library; name a new folder")
            lock.acquire(blocking=False)
        except filelock.Timeout:
            raise UserError(
                f"another process is writing to {folder}; wait for it or stop it, and try again"
            ) from None
        except OSError as error:
            raise UserError(f"cannot write the library {folder}: {error.strerror or error}") from None
        try:
            yield cls(folder)
        finally:
            lock.release()

    def manifest(self) -> Manifest:
        """The manifest, empty before the first index. Raises `UserError` if it is damaged."""
        try:
            return Manifest.from_json((self.folder / MANIFEST).read_text(encoding="utf-8"), self.folder)
        except FileNotFoundError:
            return Manifest()
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"{self.folder / MANIFEST} is damaged ({error}); delete the folder and index again"
            ) from None

    def publish(self, manifest: Manifest) -> None:
        """Replace the manifest, atomically and durably."""
        with replacing(self.folder / MANIFEST) as file:
            file.write(manifest.to_json().encode())

    def names(self) -> list[str]:
        """The names of all tables, unfinished ones included."""
        return sorted({version.parents[1].stem for version in self.folder.glob("images-*.lance/_versions/*")})

    def table(self, name: str) -> Any:
        """A table at its latest version, or None if it does not exist."""
        if name not in self.names():
            return None
        with reading(self.folder):
            return self._tables.open_table(name)

    def begin(self, name: str, width: int) -> Any:
        """A new empty table for vectors of `width` numbers."""
        shutil.rmtree(self.folder / f"{name}.lance", ignore_errors=True)  # left without a first version
        return self._tables.create_table(name, schema=schema(width))

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
        """Create missing or damaged indices; compact files and drop old versions once there are many."""
        indexed = indexed_columns(table)
        if "text" not in indexed or index_error(table):
            table.create_index("text", config=CAPTION_INDEX)
        if "vector" not in indexed and table.count_rows() >= APPROXIMATE_FROM:
            table.create_index("vector", config=IvfHnswSq(distance_type="cosine"))
        fragments = table.stats()["fragment_stats"]["num_fragments"]
        versions = sum(1 for _ in (self.folder / f"{table.name}.lance" / "_versions").iterdir())
        if fragments > MAX_FRAGMENTS or versions > MAX_VERSIONS:
            with warnings.catch_warnings():
                # It warns about readers of old versions; ours switch to the latest (`Library.open`).
                warnings.simplefilter("ignore", UserWarning)
                table.optimize(cleanup_older_than=timedelta(0))


def indexed_columns(table: Any) -> set[str]:
    """The columns that have an index."""
    return {column for index in table.list_indices() for column in index.columns}


def table_name(model: str, preprocessing: str) -> str:
    """A new name starting with `table_prefix`."""
    return table_prefix(model, preprocessing) + secrets.token_hex(4)


def table_prefix(model: str, preprocessing: str) -> str:
    """The prefix of the names of all tables with a model's vectors."""
    return f"images-{hashlib.sha256(f'{model} {preprocessing}'.encode()).hexdigest()[:12]}-"


def damaged(folder: Path, error: Exception) -> UserError:
    """The error of a damaged library."""
    first_line = str(error).partition("\n")[0]
    return UserError(
        f"the library {folder} is damaged ({first_line}); to repair it, index its folder of images with the "
        "same model, and then any other folder: "
        f"showtell index FOLDER --library {shlex.quote(str(folder))} --rebuild"
    )


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Turn the undocumented errors of a damaged table into a `UserError`."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise damaged(folder, error) from error
