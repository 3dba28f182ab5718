"""Files that may hold captions, by their names and places."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

from showtell.data.images.files import is_image_name, is_passed_over
from showtell.data.splits import split_in

SIDECARS = (".txt", ".caption", ".captions", ".json")
"""Endings of a file that holds the captions of the one image of its name, in any case."""
_WORDS = re.compile(
    r"caption|token|annotation|metadata|sentence|descri|dataset|karpathy|text|(^|_)data", re.IGNORECASE
)


def is_named_so(file: Path) -> bool:
    """Whether the name of a file or its folder says that it may hold captions, as `train/x.csv` does."""
    return any(_WORDS.search(name) or split_in(name) for name in (file.stem, file.parent.name))


def in_subfolders(root: Path, endings: Collection[str]) -> list[Path]:
    """Files with such endings in the folders of `root`, up to two down, that are named as captions are."""
    found: list[Path] = []
    for folder in (below := _folders(root)) + [deeper for one in below for deeper in _folders(one)]:
        named = [f for f in _listed(folder) if f.suffix.lower() in endings and is_named_so(f)]
        bases = sidecar_bases(folder) if named else frozenset()
        found += [f for f in named if not f.name.startswith(".") and not is_sidecar(f, bases) and f.is_file()]
    return found


def _folders(parent: Path) -> list[Path]:
    try:
        with os.scandir(parent) as listed:
            return sorted(
                parent / one.name for one in listed if one.is_dir() and not is_passed_over(one.name)
            )
    except OSError:  # the survey of images says so
        return []


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def sidecar_bases(folder: Path) -> frozenset[str]:
    """The names that a sidecar in a folder may have, without its own ending: those of images."""
    try:
        images = [path for path in folder.iterdir() if is_image_name(path.name)]
    except OSError:
        return frozenset()
    return frozenset(base for path in images for base in (path.name, path.stem))


def is_sidecar(file: Path, bases: Collection[str]) -> bool:
    """Whether a file belongs to the one image of its name."""
    return file.suffix.lower() in SIDECARS and file.stem in bases
