"""Region files as people have them."""

import base64
from collections.abc import Mapping
from pathlib import Path

import numpy as np

Given = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Features and boxes in pixels of each image, by its id."""
WIDTH, HEIGHT = 20, 10
"""Of every image, in pixels."""


def some_regions(count: int, width: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features `[N F]` and boxes `[N 4]` in pixels."""
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.uniform(size=(count, 2, 2)), 1).reshape(count, 4)
    boxes = corners * [WIDTH, HEIGHT, WIDTH, HEIGHT]
    return rng.normal(size=(count, width)).astype(np.float32), boxes.astype(np.float32)


def write_tsv(file: Path, regions: Given, *, lxmert: bool = False) -> Path:
    """Bottom-up attention's TSV, or LXMERT's."""
    lines = []
    for name, (features, boxes) in regions.items():
        both = [base64.b64encode(a.astype("<f4").tobytes()).decode() for a in (boxes, features)]
        sides = [HEIGHT, WIDTH, "", "", "", ""] if lxmert else [WIDTH, HEIGHT]
        lines.append("\t".join(map(str, [name, *sides, len(boxes), *both])))
    file.write_text("\n".join(lines) + "\n")
    return file


def write_npz(folder: Path, regions: Given, *, normalised: bool = False) -> Path:
    """A folder of `.npz` files, with boxes in pixels or in 0..1."""
    folder.mkdir()
    for name, (features, boxes) in regions.items():
        if normalised:
            unit = boxes / [WIDTH, HEIGHT, WIDTH, HEIGHT]
            sides = unit[:, 2:] - unit[:, :2]
            more = np.concatenate([unit, sides, sides.prod(1, keepdims=True)], 1)
            np.savez(folder / f"{name}.npz", features=features.astype(np.float16), norm_bb=more)
        else:
            longer = np.concatenate([features, np.zeros((2, features.shape[1]), np.float32)])
            zeros = np.concatenate([boxes, np.zeros((2, 4))])
            count = {"num_bbox": len(boxes), "image_w": WIDTH, "image_h": HEIGHT}
            np.savez(folder / f"{name}.npz", x=longer, bbox=zeros, **count)
    return folder


def write_hdf5(file: Path, regions: Given) -> Path:
    """VL-T5's HDF5."""
    import h5py

    with h5py.File(file, "w") as out:
        for name, (features, boxes) in regions.items():
            for what, value in (
                ("features", features),
                ("boxes", boxes),
                ("img_w", WIDTH),
                ("img_h", HEIGHT),
            ):
                out[f"{name}/{what}"] = value
    return file
