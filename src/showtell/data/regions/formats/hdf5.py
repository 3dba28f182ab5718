"""HDF5 with a group per image, `ID/features`, `ID/boxes`, `ID/img_w` and `ID/img_h`, boxes in pixels.

Source: Cho et al. 2021, "Unifying Vision-and-Language Tasks via Text Generation" (VL-T5). Read by h5py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from showtell.data.captions.entry import Problem
from showtell.data.regions.region import packed
from showtell.errors import MissingError

LOOKED_FOR = ".h5 or .hdf5 with a group per image: features, boxes, img_w, img_h (pip install h5py)"
SIGNATURE = b"\x89HDF\r\n\x1a\n"
NAMES = ("features", "boxes", "img_w", "img_h")


def fits(path: Path) -> bool:
    """Whether a file is HDF5, by its beginning."""
    if path.suffix.lower() not in (".h5", ".hdf5") or not path.is_file():
        return False
    with path.open("rb") as opened:
        return opened.read(len(SIGNATURE)) == SIGNATURE


def index(path: Path, problems: list[Problem]) -> Iterator[tuple[str, str]]:
    """The name of each group with regions."""
    with _opened(path) as file:
        for name, group in file.items():
            if hasattr(group, "keys") and set(NAMES) <= set(group.keys()):
                yield name, name
            else:
                lacking = "no group" if not hasattr(group, "keys") else "without " + _without(group)
                problems.append(Problem(path, None, f"{name!r} is {lacking}", f"write {', '.join(NAMES)}"))


def load(path: Path, place: str) -> np.ndarray:
    """The regions of a group."""
    try:
        with _opened(path) as file:
            features, boxes, width, height = (np.asarray(file[place][name]) for name in NAMES)
    except OSError as error:
        raise ValueError(f"holds {place}, which cannot be read: {error}") from error
    return packed(features, boxes, (float(width.item()), float(height.item())))


def _without(group: Any) -> str:
    return " and ".join(name for name in NAMES if name not in group)


def _opened(path: Path) -> Any:
    """The file. Raises `MissingError` without h5py, `ValueError` for a broken one."""
    try:
        import h5py
    except ImportError as error:
        raise MissingError(f"{path} is HDF5, which h5py reads: pip install h5py") from error
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"cannot be read: {error}") from error
