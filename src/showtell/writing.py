"""Files and folders that appear on disk whole or not at all, whenever the process dies."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from safetensors import SafetensorError

from showtell.errors import UsageError, UserError


def cache_folder() -> Path:
    """What can be computed again: `$XDG_CACHE_HOME/showtell`, by default `~/.cache/showtell`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "showtell"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """A full disk or a missing permission becomes a `UserError` that names the path."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"cannot write {path}: {reason}. Free space or permissions there, or choose another place."
        ) from error


def check_writable(path: Path) -> None:
    """Find out, before the work that it is for, that a file cannot be written; nothing is left on disk.

    Raises `UserError`, naming the path.
    """
    with writing(path):
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        there = next(folder for folder in path.absolute().parents if folder.exists())
        with tempfile.TemporaryFile(dir=there):
            pass


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk: a rename must not overtake its file.

    Windows cannot do so for a folder, and for a file only if it is writable.
    """
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Write a file so that a reader, or a power cut, finds the old version or the new one, complete."""
    new = path.with_name(f".{path.name[:50]}.{secrets.token_hex(4)}")  # a name ends at 255 bytes
    try:
        with new.open("xb") as file:
            yield file
        sync(new)
        new.replace(path)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise
    sync(path.parent)


def write_file(path: Path, content: bytes) -> None:
    """Put a file in place, and make its folder if need be.

    Raises `UserError`, naming the path, when that fails.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(content)


def replace_folder(folder: Path, write: Callable[[Path], None], marker: str) -> None:
    """Put what `write(temporary folder)` leaves at `folder`, replacing an older version of it.

    Killed at any moment, `standing(folder)` is the older or the newer version, complete.

    Raises `UsageError` for a folder that holds files but not `marker`: another program wrote it.
    """
    temporary, previous = (folder.with_name(f".{folder.name}.{state}") for state in ("writing", "previous"))
    with writing(folder):
        if folder.exists() and not (
            folder.is_dir() and (not any(folder.iterdir()) or (folder / marker).exists())
        ):
            raise UsageError(f"{folder} exists and was not written by showtell; choose another folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            write(temporary)
            for path in [*temporary.rglob("*"), temporary]:
                sync(path)
        except Exception:
            shutil.rmtree(temporary, ignore_errors=True)  # a full disk needs its space back
            raise
        if folder.exists():
            shutil.rmtree(previous, ignore_errors=True)
            folder.rename(previous)
        temporary.rename(folder)
        sync(folder.parent)
    shutil.rmtree(previous, ignore_errors=True)


def standing(folder: Path) -> Path:
    """`folder`, or its previous version if the process was killed between the two renames."""
    if folder.exists():  # `.` has no name to put another beside
        return folder
    previous = folder.with_name(f".{folder.name}.previous")
    return previous if previous.exists() else folder


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Indented UTF-8. Raises `ValueError` for what JSON lacks, such as NaN."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
