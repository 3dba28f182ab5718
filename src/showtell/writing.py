"""Files that appear on disk whole or not at all, whenever the process dies."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from safetensors import SafetensorError

from showtell.errors import UserError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a full disk or a missing permission into a `UserError` that names the path."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"cannot write {path}: {reason}. Free space or permissions there, or choose another place."
        ) from error


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk: a rename may not outrun what it names.

    Windows cannot do so for a folder, and for a file only where it may be written.
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
    """Write a file anew so that a reader, or a power cut, finds the old one or the new one whole."""
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
    """Put a file in place, its folder made if need be.

    Raises `UserError`, naming the path, when that fails.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(content)
