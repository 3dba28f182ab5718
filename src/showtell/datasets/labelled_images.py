"""Labelled images: divided, made square once, and kept as bytes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from showtell.data.images.decode import ImageError
from showtell.data.labels.images import Classes, Labelled, read_classes
from showtell.datasets.caches import Pixels, log_skipped, pixel_cache
from showtell.datasets.division import held_out, parted
from showtell.errors import UsageError, UserError

SHARE, MOST = 0.1, 1000
"""Of the images that are not for testing, the share that is held out for validation, and at most how many."""


@dataclass(frozen=True)
class LabelledImages:
    """The image files of a data set with their classes, divided."""

    classes: Classes
    training: list[Labelled]
    validation: list[Labelled]
    test: list[Labelled]

    @property
    def num_training(self) -> int:
        """Training images."""
        return len(self.training)


def find_labelled(data: Path, format: str | None = None) -> LabelledImages:
    """The labelled images of a folder or tar archive, as `read_classes` finds them, divided.

    Training and validation images stand in the order of a hash of their names, which mixes the classes.
    Raises `UserError` as it does, and `UsageError` for a `format`, which only captions have.
    """
    if format is not None:
        raise UsageError(f"--format {format} is for captions; labelled images lie in one folder per class")
    classes = read_classes(data)
    items = [item for item in classes.items if not item.held_out]
    items.sort(key=lambda item: hashlib.sha256(os.fsencode(item.name)).digest())
    most = max(1, min(int(SHARE * len(items)), MOST))
    training, validation = parted(items, held_out([os.fsencode(item.name) for item in items], most=most))
    return LabelledImages(
        classes,
        training=training,
        validation=validation,
        test=[item for item in classes.items if item.held_out],
    )


@dataclass(frozen=True)
class LabelledPixels(Pixels):
    """Square images and their classes."""

    labels: Tensor
    """`int64 [N]`."""

    @property
    def hash(self) -> str:
        """SHA-256 of the names, the labels and the pixels, in their order."""
        return hashlib.sha256(super().hash.encode() + self.labels.numpy().tobytes()).hexdigest()


def load_labelled(found: LabelledImages, size: int) -> tuple[LabelledPixels, LabelledPixels, LabelledPixels]:
    """The training, validation and test images, squashed to `size` pixels a side.

    They are read once and kept between runs; what cannot be read is logged, counted.
    Raises `UserError` when one of the three is then empty.
    """
    cache, read = pixel_cache(size), list[Labelled]()

    def contents() -> Iterator[tuple[str, bytes | ImageError]]:
        for item, content in found.classes.contents(found.classes.items):
            read.append(item)
            yield item.name, content

    kept = cache.add_contents(contents(), len(found.classes.items))
    log_skipped(kept.skipped)
    row_of = {item: row for item, row in zip(read, kept.rows.tolist(), strict=True) if row >= 0}

    def part(items: list[Labelled], purpose: str) -> LabelledPixels:
        readable = [item for item in items if item in row_of]
        if not readable:
            raise UserError(f"{found.classes.root}: no {purpose} image can be read; add some")
        return LabelledPixels(
            [item.name for item in readable],
            np.array([row_of[item] for item in readable]),
            cache.array,
            torch.tensor([item.label for item in readable]),
        )

    return (
        part(found.training, "training"),
        part(found.validation, "validation"),
        part(found.test, "test"),
    )
