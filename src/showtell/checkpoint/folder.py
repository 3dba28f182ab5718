"""Folders that appear on disk whole or not at all, whenever the process dies."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from showtell.errors import UsageError
from showtell.writing import sync, writing


def replace_folder(folder: Path, write: Callable[[Path], None], marker: str) -> None:
    """Put what `write(temporary folder)` leaves at `folder`, in place of an older one.

    Killed at any moment, `standing(folder)` is the older or the newer one, complete. A folder that holds
    files but not `marker` is somebody else's and stays.
    """
    writing_name, previous = (
        folder.with_name(f".{folder.name}.{state}") for state in ("writing", "previous")
    )
    with writing(folder):
        if folder.exists() and not (
            folder.is_dir() and (not any(folder.iterdir()) or (folder / marker).exists())
        ):
            raise UsageError(f"{folder} exists and was not written by showtell; choose another folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(writing_name, ignore_errors=True)
        writing_name.mkdir()
        try:
            write(writing_name)
            for path in [*writing_name.rglob("*"), writing_name]:
                sync(path)
        except Exception:
            shutil.rmtree(writing_name, ignore_errors=True)  # a full disk wants its space back
            raise
        if folder.exists():
            shutil.rmtree(previous, ignore_errors=True)
            folder.rename(previous)
        writing_name.rename(folder)
        sync(folder.parent)
    shutil.rmtree(previous, ignore_errors=True)


def standing(folder: Path) -> Path:
    """`folder`, or the one before it if the process was killed between two renames."""
    if folder.exists():  # `.` has no name to put another beside
        return folder
    previous = folder.with_name(f".{folder.name}.previous")
    return previous if previous.exists() else folder


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Indented UTF-8. Raises `ValueError` for what JSON lacks, such as NaN."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
