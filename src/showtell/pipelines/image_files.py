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
Skip = Callable[[UserError], None]


def read_batches(
    files: ImageFiles, model: Model, max_pixels: int, skip: Skip | None
) -> Iterator[list[tuple[Path, np.ndarray]]]:
    """Images prepared for a model, in the order given: of each `BATCH` files those that can be read.

    The others are passed to `skip`; without `skip` they raise `ImageError`.
    """
    images = _read_ahead(files, lambda path: model.read(path, max_pixels))
    while batch := list(islice(images, BATCH)):
        yield list(_readable(batch, skip))


def read_files(
    files: ImageFiles, read: Callable[[Path], np.ndarray], skip: Skip | None
) -> Iterator[tuple[Path, np.ndarray]]:
    """Images one by one, in the order given, those that cannot be read passed to `skip`, or raised."""
    return _readable(_read_ahead(files, read), skip)


def _read_ahead(
    files: ImageFiles, read: Callable[[Path], np.ndarray]
) -> Iterator[tuple[Path, np.ndarray | ImageError]]:
    names = [files] if isinstance(files, (Path, str)) else files

    def one(path: Path | ImageError) -> tuple[Path, np.ndarray | ImageError]:
        if isinstance(path, ImageError):
            return path.path, path
        try:
            return path, read(path)
        except ImageError as error:
            return path, error

    return prefetch(one, all_files(names), ahead=2 * BATCH)


def _readable(
    images: Iterable[tuple[Path, np.ndarray | ImageError]], skip: Skip | None
) -> Iterator[tuple[Path, np.ndarray]]:
    for path, pixels in images:
        if not isinstance(pixels, ImageError):
            yield path, pixels
        elif skip is None:
            raise pixels
        else:
            skip(pixels)


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
