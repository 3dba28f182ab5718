"""Labelled images to learn from: divided, made square once, and kept as bytes."""

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
from showtell.datasets.cache import Pixels, pixel_cache, tell_skipped
from showtell.errors import UsageError, UserError
from showtell.progress import progress_lines

SHARE, MOST = 0.1, 1000
"""Of the images to learn from, this share is kept apart to choose weights by, and no more than so many."""


@dataclass(frozen=True)
class LabelledImages:
    """Images with their classes, not read yet."""

    classes: Classes
    training: list[Labelled]
    validation: list[Labelled]
    """Kept apart, by a hash of their names, to choose weights by."""
    test: list[Labelled]
    """Never looked at before the end."""

    @property
    def num_training(self) -> int:
        """Images to learn from."""
        return len(self.training)


def find_labelled(data: Path, format: str | None = None) -> LabelledImages:
    """The labelled images of a folder or tar archive, as `read_classes` finds them, divided.

    Raises `UserError` as it does, and `UsageError` for a `format`, which captions have.
    """
    if format is not None:
        raise UsageError(f"--format {format} is of captions; labelled images lie in a folder a class")
    classes = read_classes(data)
    learned = [item for item in classes.items if not item.measured]
    learned.sort(key=lambda item: hashlib.sha256(os.fsencode(item.name)).digest())
    kept = max(1, min(int(SHARE * len(learned)), MOST))
    return LabelledImages(
        classes, learned[kept:], learned[:kept], [item for item in classes.items if item.measured]
    )


@dataclass(frozen=True)
class LabelledPixels(Pixels):
    """Images made square, and their classes."""

    labels: Tensor
    """`int64 [N]`."""

    @property
    def hash(self) -> str:
        """SHA-256 of the names, the labels and the pixels, in their order."""
        return hashlib.sha256(super().hash.encode() + self.labels.numpy().tobytes()).hexdigest()


def load_labelled(found: LabelledImages, size: int) -> tuple[LabelledPixels, LabelledPixels, LabelledPixels]:
    """The images to learn from, to choose by and to test on, squashed to `size` pixels a side.

    They are read once and kept between runs. What cannot be read is said on standard error.
    Raises `UserError` when one of the three is then empty.
    """
    cache, read = pixel_cache(size), list[Labelled]()

    def contents() -> Iterator[tuple[str, bytes | ImageError]]:
        for item, content in found.classes.contents(found.classes.items):
            read.append(item)
            yield item.name, content

    kept = cache.add_contents(contents(), len(found.classes.items), progress_lines("images read"))
    tell_skipped(kept)
    row_of = {item: row for item, row in zip(read, kept.rows.tolist(), strict=True) if row >= 0}

    def part(items: list[Labelled], purpose: str) -> LabelledPixels:
        readable = [item for item in items if item in row_of]
        if not readable:
            raise UserError(f"{found.classes.root}: no image to {purpose} can be read; add some")
        return LabelledPixels(
            [item.name for item in readable],
            np.array([row_of[item] for item in readable]),
            cache.array,
            torch.tensor([item.label for item in readable]),
        )

    return (
        part(found.training, "learn from"),
        part(found.validation, "choose by"),
        part(found.test, "test on"),
    )
