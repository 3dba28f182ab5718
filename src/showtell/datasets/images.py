"""Unlabelled images: found under a folder, made square once, and kept as bytes."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from showtell.data.images.decode import ImageError, load_image
from showtell.data.images.files import find_images, no_images
from showtell.data.splits import folder_splits
from showtell.datasets.caches import Pixels, log_skipped, pixel_cache
from showtell.errors import UserError
from showtell.wording import counted

logger = logging.getLogger(__name__)

SMALL = 64
"""Pixels. Images of at most this longer side keep their size, as CIFAR's do."""
PHOTOGRAPH = 128
"""Pixels per side of larger ones, for a network of minutes on a CPU. The papers take 224."""
FEW = 1000
SAMPLE = 32


@dataclass(frozen=True)
class Unlabelled:
    """The image files of a folder."""

    paths: list[Path]

    @property
    def num_training(self) -> int:
        """Training images."""
        return len(self.paths)

    def usual_size(self) -> int:
        """The side that suits the images, in pixels, a multiple of 8: by the median of an even sample."""
        sides = []
        for place in np.linspace(0, len(self.paths) - 1, min(SAMPLE, len(self.paths))).astype(int):
            try:
                sides.append(max(load_image(self.paths[place], at_least=2 * SMALL).shape[:2]))
            except ImageError:
                continue  # logged when all are read
        side = median(sides) if sides else PHOTOGRAPH
        return 8 * -(-int(side) // 8) if side <= SMALL else PHOTOGRAPH


def find_unlabelled(folder: Path) -> Unlabelled:
    """Every image file under a folder, without those of folders called `val` or `test` beside others.

    What is left out is logged, counted. Raises `UserError` when there is none.
    """
    paths = find_images(folder)
    if not paths:
        raise no_images(folder)
    return Unlabelled(_without_held_out(folder, paths))


def _without_held_out(folder: Path, paths: list[Path]) -> list[Path]:
    """The images to train on, as the names of folders say; all, where nothing else would be left."""
    parts = {path: path.relative_to(folder).parts[:-1] for path in paths}
    named = folder_splits(parts.values())
    held = {path: {*named[parts[path]].values()} & {"val", "test"} for path in paths}
    left = [path for path in paths if not held[path]]
    if not left or len(left) == len(paths):
        return paths
    counts = Counter(split for splits in held.values() for split in splits)
    said = ", ".join(f"{count} in {split}" for split, count in sorted(counts.items()))
    logger.info("%s not trained on, as their folders say: %s", counted(len(paths) - len(left), "image"), said)
    return left


def load_pixels(found: Unlabelled, size: int) -> Pixels:
    """The images squashed to `size` pixels a side, read once and kept between runs.

    Copies of an image count once: a contrastive loss would push them apart. Images that cannot be read are
    logged, and so is a small number of them. Raises `UserError` when fewer than two are left.
    """
    cache = pixel_cache(size)
    kept = cache.add(found.paths)
    log_skipped(kept.skipped)
    rows, places = np.unique(kept.rows, return_index=True)
    rows, places = rows[rows >= 0], places[rows >= 0]
    order = places.argsort()
    rows, names = rows[order], [found.paths[place].name for place in places[order]]
    if len(names) < 2:
        raise UserError(f"{len(names)} different images can be read; name a folder with two at least")
    if len(names) < FEW:
        logger.warning(
            "%d images are few for training without labels: expect vectors that tell colours and textures "
            "apart, little more; use thousands if you have them",
            len(names),
        )
    return Pixels(names, rows, cache.array)
