"""Image files that a person names, read in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from showtell.data.images.decode import ImageError, why_no_file
from showtell.data.images.files import find_images
from showtell.data.prefetch import prefetch
from showtell.errors import UserError
from showtell.pipelines.model import BATCH, Model

ImageFiles = Path | str | Iterable[Path | str]
"""Files and folders, one or many."""
Skip = Callable[[ImageError], None]


def read_batches(
    files: ImageFiles, model: Model, max_pixels: int, skip: Skip | None
) -> Iterator[list[tuple[Path, np.ndarray]]]:
    """Images prepared for a model, in the order given: of each `BATCH` files those that can be read.

    The others are passed to `skip`; without `skip` they raise `ImageError`.
    """
    names = [files] if isinstance(files, (Path, str)) else files

    def read(path: Path | ImageError) -> tuple[Path, np.ndarray | ImageError]:
        if isinstance(path, ImageError):
            return path.path, path
        try:
            return path, model.read(path, max_pixels)
        except ImageError as error:
            return path, error

    images = prefetch(read, all_files(names), ahead=2 * BATCH)
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


def all_files(names: Iterable[Path | str]) -> Iterator[Path | ImageError]:
    """The files, a folder replaced by all images under it, or by an error if it has none or is closed."""
    for path in map(Path, names):
        if not path.is_dir():
            yield path
            continue
        try:
            found = find_images(path)
        except UserError:
            yield ImageError(path, why_no_file(path))
            continue
        if not found:
            yield ImageError(path, f"there are no images in {path.absolute()}")
        yield from found
