"""Pictures to learn from without labels: found, made square once, and kept as bytes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from showtell.data.image import ImageError, find_images, load_image
from showtell.errors import UserError
from showtell.recipes.caches import Pixels, pixel_cache, tell_skipped
from showtell.recipes.progress import progress_lines

SMALL = 64
"""Pixels. Pictures of at most this longer side are kept at their size, as CIFAR's are."""
PHOTOGRAPH = 128
"""Pixels a side of larger ones: a network of minutes on a processor. The papers take 224."""
FEW = 1000
SAMPLE = 32


@dataclass(frozen=True)
class Unlabelled:
    """The picture files of a folder."""

    paths: list[Path]

    @property
    def num_training(self) -> int:
        """Pictures to learn from."""
        return len(self.paths)

    def usual_size(self) -> int:
        """The side that pictures are best kept at, a multiple of 8, by the median of an even sample."""
        sides = []
        for place in np.linspace(0, len(self.paths) - 1, min(SAMPLE, len(self.paths))).astype(int):
            try:
                sides.append(max(load_image(self.paths[place], at_least=2 * SMALL).shape[:2]))
            except ImageError:
                continue  # named when all are read
        side = median(sides) if sides else PHOTOGRAPH
        return 8 * -(-int(side) // 8) if side <= SMALL else PHOTOGRAPH


def find_unlabelled(folder: Path) -> Unlabelled:
    """Every picture file under a folder.

    Raises `UserError` when there is none.
    """
    paths = find_images(folder)
    if not paths:
        raise UserError(f"there are no pictures in {folder}; name a folder that holds JPEG, PNG or others")
    return Unlabelled(paths)


def load_pixels(found: Unlabelled, size: int) -> Pixels:
    """The pictures squashed to `size` pixels a side, read once and kept between runs.

    Copies of a picture count once. What cannot be read, and that there are few, is said on standard error.
    Raises `UserError` when fewer than two are left.
    """
    cache = pixel_cache(size)
    kept = cache.add(found.paths, progress_lines("pictures read"))
    tell_skipped(kept)
    # A copy of a picture is no other picture, whose vector would have to differ.
    rows, places = np.unique(kept.rows, return_index=True)
    rows, places = rows[rows >= 0], places[rows >= 0]
    order = places.argsort()
    rows, names = rows[order], [found.paths[place].name for place in places[order]]
    if len(names) < 2:
        raise UserError(f"{len(names)} different pictures can be read; name a folder with two at least")
    if len(names) < FEW:
        print(
            f"{len(names)} pictures are few to learn from without labels: expect vectors that tell colours "
            "and textures apart, little more; give thousands if you have them",
            file=sys.stderr,
        )
    return Pixels(names, rows, cache.array)
