"""The objects of drawn images as regions, found by their colours: what a perfect detector would see in NLVR.

    python benchmarks/drawn_objects.py DATA/nlvr/images OBJECTS
    showtell train nlvr_vilt --data DATA/nlvr --output RUN --set system=UNITERAnswerer --set regions=OBJECTS

Each object's features are its colour, its shape (by the share of its box that it fills), its size, the box of
the three that it lies in, its place in that, and the walls that it touches. Squares of one colour that stand
on each other are told apart.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

COLOURS = {"yellow": (255, 255, 0), "blue": (0, 153, 255), "black": (0, 0, 0)}
NEAR = 100
"""Sum of the differences from a colour: the edges of objects are blurred."""
BOX, APART, SIDE, LEAST = 100, 150, 20, 12
"""Pixels: the side of a box, from one box to the next, the side of a square in a tower, the smallest area."""


def objects(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features `[N 20]` and boxes `[N 4]`, in pixels, of an image `[H W 3]`."""
    features, boxes = [], []
    for colour, value in enumerate(COLOURS.values()):
        labels, _ = ndimage.label(np.abs(image.astype(int) - value).sum(2) < NEAR)
        for place, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
            area = (labels[rows, columns] == place).sum()
            if area < LEAST:
                continue
            height, width = rows.stop - rows.start, columns.stop - columns.start
            fill = area / (height * width)
            stacked = round(height / SIDE) if fill > 0.93 and width == SIDE else 1
            for top in np.linspace(rows.start, rows.stop, max(stacked, 1), endpoint=False):
                bottom = top + height / max(stacked, 1)
                features.append(described(colour, fill, columns.start, top, columns.stop, bottom))
                boxes.append((columns.start, top, columns.stop, bottom))
    return np.array(features, np.float32), np.array(boxes, np.float32)


def described(colour: int, fill: float, left: float, top: float, right: float, bottom: float) -> list[float]:
    """The features of one object."""
    box = int(left // APART)
    left, right = left - box * APART, right - box * APART
    shape = 0 if fill > 0.93 else 1 if fill > 0.64 else 2
    size = int(right - left > 13) + int(right - left > 23)
    kinds = [one for kind in (colour, shape, size, box) for one in np.eye(3)[kind]]
    place = [left / BOX, top / BOX, right / BOX, bottom / BOX]
    return [*kinds, *place, left <= 1, top <= 1, right >= BOX - 1, bottom >= BOX - 1]


def main() -> None:
    """Write a file of regions per image."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("output", type=Path)
    given = parser.parse_args()
    given.output.mkdir(parents=True)
    counts = []
    for path in sorted(given.images.glob("*.png")):
        image = np.asarray(Image.open(path).convert("RGB"))
        features, boxes = objects(image)
        height, width = image.shape[:2]
        np.savez(given.output / f"{path.stem}.npz", x=features, bbox=boxes, image_w=width, image_h=height)
        counts.append(len(boxes))
    print(f"{len(counts)} images, {min(counts)} to {max(counts)} objects, {np.mean(counts):.1f} on average")


if __name__ == "__main__":
    main()
