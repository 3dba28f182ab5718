"""A folder of `.npz` files, one per image, which is called as its file is.

`features` or `x` are the features; the boxes are `norm_bb` in 0..1 (Chen et al. 2020, "UNITER"), or `bbox` or
`boxes` in pixels, with `image_w` and `image_h`. After the first `num_bbox` comes padding.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from showtell.data.captions.entry import Problem
from showtell.data.regions.region import packed

LOOKED_FOR = "a folder of .npz files, one per image: features (or x), and norm_bb or bbox, image_w, image_h"
FEATURES, NORMALISED, BOXES = ("features", "x"), ("norm_bb",), ("bbox", "boxes")
SIZES = (("image_w", "image_width"), ("image_h", "image_height"))


def fits(path: Path) -> bool:
    """Whether a folder holds `.npz` files."""
    return path.is_dir() and any(path.glob("*.npz"))


def index(path: Path, problems: list[Problem]) -> Iterator[tuple[str, str]]:
    """The name of each file."""
    return ((file.stem, file.name) for file in sorted(path.glob("*.npz")))


def load(path: Path, place: str) -> np.ndarray:
    """The regions of a file."""
    try:
        with np.load(path / place, allow_pickle=False) as arrays:
            features = _first(arrays, FEATURES)
            normalised = any(name in arrays for name in NORMALISED)
            boxes = _first(arrays, NORMALISED if normalised else BOXES)
            count = int(arrays["num_bbox"].item()) if "num_bbox" in arrays else len(features)
            width, height = (None if normalised else float(_first(arrays, names).item()) for names in SIZES)
    except (OSError, EOFError, BadZipFile, zlib.error) as error:
        raise ValueError(f"holds {place}, which cannot be read: {error}") from error
    size = None if width is None or height is None else (width, height)
    return packed(features[:count], boxes[:count], size)


def _first(arrays: np.lib.npyio.NpzFile, names: tuple[str, ...]) -> np.ndarray:
    """The array of the first of some names. Raises `ValueError` where there is none."""
    found = next((name for name in names if name in arrays), None)
    if found is None:
        raise ValueError(f"holds a file without {' or '.join(names)}, only {', '.join(arrays.files)}")
    array: np.ndarray = arrays[found]
    return array
