"""Images that a run would remove from a library: gone for certain, and not too many at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from showtell.errors import UserError

MANY = 10
SHARE = 0.25


def is_gone(path: Path) -> bool:
    """Whether there is no such file; False if that cannot be known."""
    return _seen(path) is False


def is_hidden(path: Path, folder: Path) -> bool:
    """Whether a file may be there, but it or a folder between `folder` and it cannot be read."""
    seen = _seen(path)
    if seen:
        return not all(_can_be_listed(parent) for parent in path.parents if parent.is_relative_to(folder))
    return seen is None


def check_removal(lost: Sequence[Path], stored: int, place: str) -> None:
    """Raises `UserError` if `lost` is all, or many and a large share, of the images stored from a place."""
    if lost and (len(lost) >= stored or len(lost) > max(MANY, SHARE * stored)):
        raise UserError(
            f"{len(lost)} of the {stored} images stored from {place} are not there any more, the first: "
            f"{lost[0]}; is a drive not connected? Nothing was removed. To drop them, run it again with "
            "--prune (in Python: prune=True)"
        )


def _seen(path: Path) -> bool | None:
    """Whether a file is there; None if that cannot be known."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return None
    return True


def _can_be_listed(folder: Path) -> bool:
    try:
        next(folder.iterdir(), None)
    except OSError:
        return False
    return True
