"""Read the image files that a person names, some at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from showtell.data.images.decode import ImageError
from showtell.data.images.files import find_images
from showtell.data.prefetch import prefetch
from showtell.pipelines.model import Model

BATCH = 16

Given = Path | str | Iterable[Path | str]
Skip = Callable[[ImageError], None]


def read_batches(
    given: Given, model: Model, max_pixels: int, skip: Skip | None
) -> Iterator[list[tuple[Path, np.ndarray]]]:
    """Images prepared for a model, of files and of all under folders, in the order given.

    Of each `BATCH` files those that can be read; the others are passed to `skip`, without it they raise
    `ImageError`.
    """
    names = [given] if isinstance(given, (Path, str)) else given

    def read(path: Path) -> tuple[Path, np.ndarray | ImageError]:
        try:
            return path, model.read(path, max_pixels)
        except ImageError as error:
            return path, error

    images = prefetch(read, _files(names), ahead=2 * BATCH)
    while batch := list(islice(images, BATCH)):
        readable = []
        for path, pixels in batch:
            if not isinstance(pixels, ImageError):
                readable.append((path, pixels))
            elif skip is None:
                raise pixels
            else:
                skip(pixels)
        yield readable


def _files(given: Iterable[Path | str]) -> Iterator[Path]:
    for path in map(Path, given):
        if path.is_dir():
            yield from find_images(path)
        else:
            yield path
