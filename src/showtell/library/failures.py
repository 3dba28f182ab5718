"""Why a library cannot be read or written: damage, permission, the disk, or a limit of the process."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from errno import (
    EACCES,
    EDQUOT,
    EFBIG,
    EIO,
    EMFILE,
    ENFILE,
    ENODEV,
    ENOENT,
    ENOMEM,
    ENOSPC,
    ENOTCONN,
    ENOTDIR,
    ENXIO,
    EPERM,
    EROFS,
    ESTALE,
    ETIMEDOUT,
)
from pathlib import Path

from showtell.errors import UserError
from showtell.wording import index_command

PERMISSION = frozenset({EACCES, EPERM, EROFS})
FULL = frozenset({ENOSPC, EDQUOT, EFBIG})
DESCRIPTORS = frozenset({EMFILE, ENFILE})
DRIVE = frozenset({EIO, ENODEV, ENXIO, ENOTCONN, ESTALE, ETIMEDOUT})


class DamagedError(UserError):
    """Files of a library are missing or hold something else."""

    def __init__(self, folder: Path, reason: str) -> None:
        """`reason` is what was found to be wrong."""
        super().__init__(
            f"the library {folder} is damaged ({reason}); to repair it, index its folder of images with the "
            "same model (--model MODEL, unless it was the default), and then any other folder: "
            f"{index_command(folder)} --rebuild"
        )
        self.reason = reason


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Turn the undocumented errors of a table into a `UserError`; those of a wrong argument stay.

    Raises `DamagedError` for damage alone.
    """
    with _explained(folder, "read"):
        yield


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """As `reading`, where a library is written."""
    with _explained(folder, "write"):
        yield


@contextmanager
def _explained(folder: Path, action: str) -> Iterator[None]:
    try:
        yield
    except (UserError, TypeError, AttributeError):
        raise
    except BaseException as error:
        # A panic inside LanceDB is no `Exception`, and its class cannot be imported.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise failure(folder, error, action) from error


def failure(folder: Path, error: BaseException, action: str) -> UserError:
    """The error of a library that could not be read or written, by its cause."""
    path, number = folder, number_of(error)
    if action == "read" and (found := _unreadable(folder)):  # LanceDB takes what it may not list for missing
        path, number = Path(found.filename), found.errno
    where = f"cannot {action} {path}"
    reason = "" if number is None else os.strerror(number)
    if number in PERMISSION:
        return UserError(f"{where}: {reason}; nothing is damaged: give yourself permission to {action} it")
    if number in FULL:
        return UserError(f"{where}: {reason}; free space and run it again: what was written stays")
    if number in DESCRIPTORS:
        return UserError(f"{where}: {reason}; allow more with `ulimit -n 4096` and run it again")
    if number == ENOMEM:
        return UserError(f"{where}: {reason}; close other programs, or raise `ulimit -v`")
    if number in DRIVE:
        return UserError(f"{where}: {reason}; see whether its drive is connected, and run it again")
    first_line = str(error).partition("\n")[0] or type(error).__name__
    if action == "read":
        return DamagedError(folder, first_line)
    return UserError(f"cannot write the library {folder}: {first_line}")


def number_of(error: BaseException | None) -> int | None:
    """The error number of the operating system, which LanceDB gives as text; None if there is none."""
    if isinstance(error, MemoryError):
        return ENOMEM
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = re.search(r"(?:os error|Os \{ code:) (\d+)", str(error))
    return int(found[1]) if found else None


def _unreadable(folder: Path) -> OSError | None:
    """The error of the first folder or file that cannot be opened."""
    failed: list[OSError] = []
    for parent, _, names in os.walk(folder, onerror=failed.append):
        for name in names:
            try:
                Path(parent, name).open("rb").close()
            except OSError as error:
                failed.append(error)
    # What is missing is damage, or the work of another process.
    return next((error for error in failed if error.errno not in (ENOENT, ENOTDIR)), None)
