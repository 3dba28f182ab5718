"""The folder of a library: its manifest, its tables, its lock."""

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

# Compaction rewrites what it joins, so it waits until there is something to gain.
MAX_FRAGMENTS = 16
MAX_VERSIONS = 48

# Images from which LanceDB's index answers in place of the exact product. Here it takes 0.3 of the
# product's time at a recall of 0.91; at 100,000 it takes 0.7, of milliseconds, and minutes to make
# (`benchmarks/library_search.py --index`).
APPROXIMATE_FROM = 500_000


class Store:
    """The files of one library.

    A table holds the vectors of one model. Another model's, or one made anew, is built beside it and becomes
    the library's when `publish` replaces the manifest, in one step.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._tables = lancedb.connect(str(self.folder))

    @classmethod
    def open(cls, folder: Path | str) -> Store:
        """An existing library. Raises `UserError` when the folder is not one."""
        if not (Path(folder) / MANIFEST).is_file():
            raise UserError(
                f"{folder} is not a library; make one with: showtell index IMAGES --library {folder}"
            )
        return cls(folder)

    @classmethod
    @contextmanager
    def writing(cls, folder: Path | str) -> Iterator[Store]:
        """A library for one writer alone, made if need be.

        Raises:
            UserError: another process is writing, or the folder holds something else.
        """
        folder = Path(folder)
        lock = filelock.FileLock(folder / LOCK)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            names = {p.name for p in folder.iterdir()}
            strangers = {name for name in names - {LOCK} if not name.startswith(f".{MANIFEST}.")}
            if strangers and MANIFEST not in names:
                raise UserError(f"{folder} holds other files and is not a library; name a new folder")
            lock.acquire(blocking=False)
        except filelock.Timeout:
            raise UserError(
                f"another process is indexing into {folder}; wait for it, or stop it, and run this again"
            ) from None
        except OSError as error:
            raise UserError(f"cannot write the library {folder}: {error.strerror or error}") from None
        try:
            yield cls(folder)
        finally:
            lock.release()

    def manifest(self) -> Manifest:
        """The manifest, empty before the first index. Raises `UserError` when it cannot be used."""
        try:
            return Manifest.from_json((self.folder / MANIFEST).read_text(encoding="utf-8"), self.folder)
        except FileNotFoundError:
            return Manifest()
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"{self.folder / MANIFEST} is damaged ({error}); delete the folder and index again"
            ) from None

    def publish(self, manifest: Manifest) -> None:
        """Make the tables of a manifest the library's, at once and for good."""
        with replacing(self.folder / MANIFEST) as file:
            file.write(manifest.to_json().encode())

    def names(self) -> list[str]:
        """All tables, the unfinished ones included."""
        return sorted({version.parents[1].stem for version in self.folder.glob("images-*.lance/_versions/*")})

    def table(self, name: str) -> Any:
        """A table at its latest version, or None when it has not been begun."""
        if name not in self.names():
            return None
        with reading(self.folder):
            return self._tables.open_table(name)

    def begin(self, name: str, width: int) -> Any:
        """A new empty table for vectors of `width` numbers."""
        shutil.rmtree(
            self.folder / f"{name}.lance", ignore_errors=True
        )  # begun, but not to its first version
        return self._tables.create_table(name, schema=schema(width))

    def drop_all_but(self, *keep: str) -> None:
        """Free the room of tables, and vectors derived from them, that were replaced or given up."""
        for path in self.folder.glob("images-*"):
            if not path.name.startswith(keep):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    with suppress(OSError):  # Windows keeps what another process has open
                        path.unlink(missing_ok=True)

    def tidy(self, table: Any) -> None:
        """Index what is not, or is badly; join small files and forget old versions, once there are enough."""
        indexed = indexed_columns(table)
        if "text" not in indexed or index_error(table):
            table.create_index("text", config=CAPTION_INDEX)
        if "vector" not in indexed and table.count_rows() >= APPROXIMATE_FROM:
            table.create_index("vector", config=IvfHnswSq(distance_type="cosine"))
        fragments = table.stats()["fragment_stats"]["num_fragments"]
        versions = sum(1 for _ in (self.folder / f"{table.name}.lance" / "_versions").iterdir())
        if fragments > MAX_FRAGMENTS or versions > MAX_VERSIONS:
            with warnings.catch_warnings():
                # It warns of readers of old versions: ours turn to the latest (`Library.open`).
                warnings.simplefilter("ignore", UserWarning)
                table.optimize(cleanup_older_than=timedelta(0))


def indexed_columns(table: Any) -> set[str]:
    """The columns that have an index."""
    return {column for index in table.list_indices() for column in index.columns}


def table_name(model: str, preprocessing: str) -> str:
    """A new name that begins with `table_prefix`."""
    return table_prefix(model, preprocessing) + secrets.token_hex(4)


def table_prefix(model: str, preprocessing: str) -> str:
    """How the names of all tables with this model's vectors begin."""
    return f"images-{hashlib.sha256(f'{model} {preprocessing}'.encode()).hexdigest()[:12]}-"


def damaged(folder: Path, error: Exception) -> UserError:
    """The error of a library whose files do not make sense."""
    first_line = str(error).partition("\n")[0]
    return UserError(
        f"the library {folder} is damaged ({first_line}); name its folder of images and the model whose "
        "vectors they are, and index any other folder after it, to mend it with: "
        f"showtell index FOLDER --library {shlex.quote(str(folder))} --rebuild"
    )


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Make of whatever a damaged table raises, which is not documented, the error that says so."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise damaged(folder, error) from error
