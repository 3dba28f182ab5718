"""Say what pictures show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from showtell.data.image import MAX_PIXELS, ImageError, find_images
from showtell.data.prefetch import prefetch
from showtell.recipes.model import Model, load_model
from showtell.tasks.caption import Caption

BATCH = 16


@dataclass(frozen=True)
class Captioned:
    """A picture and what the model says of it."""

    path: str
    captions: list[Caption]
    """Best first."""
    model: str
    """Name and hash of who said it."""


def caption(
    pictures: Path | str | Iterable[Path | str],
    model: Model | None = None,
    *,
    beam: int = 5,
    num: int = 1,
    sample: Literal["nucleus"] | None = None,
    seed: int = 0,
    max_pixels: int = MAX_PIXELS,
    skip: Callable[[ImageError], None] | None = None,
) -> Iterator[Captioned]:
    """Caption picture files, and all under folders, in the order given; without a model, by the shipped one.

    `num` captions a picture by beam search, or drawn by `sample="nucleus"`. A file that cannot be read
    is passed to `skip`; without `skip` it raises `ImageError`.

    Example::

        for picture in showtell.caption(["cat.jpg", "holiday/"]):
            print(picture.path, picture.captions[0].text)
    """
    model = model or load_model()
    given = [pictures] if isinstance(pictures, (Path, str)) else pictures

    def read(path: Path) -> tuple[Path, np.ndarray | ImageError]:
        try:
            return path, model.read(path, max_pixels)
        except ImageError as error:
            return path, error

    read_pictures = prefetch(read, _files(given), ahead=2 * BATCH)
    first = 0
    while batch := list(islice(read_pictures, BATCH)):
        readable: list[tuple[Path, np.ndarray]] = []
        for path, pixels in batch:
            if isinstance(pixels, ImageError):
                if skip is None:
                    raise pixels
                skip(pixels)
            else:
                readable.append((path, pixels))
        if readable:
            encoded = model.encode([pixels for _, pixels in readable])
            said = model.tell(encoded, beam=beam, num=num, sample=sample, seed=seed + first)
            for (path, _), captions in zip(readable, said, strict=True):
                yield Captioned(str(path), captions, model.name)
        first += len(batch)


def _files(given: Iterable[Path | str]) -> Iterator[Path]:
    for path in map(Path, given):
        if path.is_dir():
            yield from find_images(path)
        else:
            yield path
