"""Region files: the regions of many images, found by the images' names and read one image at a time.

A format is a module of `formats/`, found by being there. It offers

    LOOKED_FOR                                what its files look like
    fits(path) -> bool                        whether a file or folder is of this format
    index(path, problems) -> Iterator[(id, place)]    the images' ids, and where each one's regions stand
    load(path, place) -> float32 [N 4+F]      those regions (`region.packed`); `ValueError` says what is wrong
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from showtell.data.captions.entry import Problem
from showtell.data.images.decode import ImageError
from showtell.data.regions import formats
from showtell.data.regions.region import CORNERS, image_key
from showtell.errors import UsageError, UserError

VERSION = "regions-v1"
"""Of a checkpoint that reads regions: what other models call the preprocessing of their images."""


class Format(Protocol):
    """One way to write regions: a module of `formats/`."""

    LOOKED_FOR: str

    def fits(self, path: Path) -> bool:
        """Whether a file or folder is of this format."""
        ...

    def index(self, path: Path, problems: list[Problem]) -> Iterator[tuple[str, Any]]:
        """The id of each image and the place of its regions; what cannot be read is added to `problems`."""
        ...

    def load(self, path: Path, place: Any) -> np.ndarray:
        """The regions at a place, `float32 [N 4+F]`. Raises `ValueError` that says what is wrong."""
        ...


@cache
def known_formats() -> Mapping[str, Format]:
    """The formats by name."""
    names = [module.name for module in pkgutil.iter_modules(formats.__path__)]
    return {name: cast(Format, import_module(f"{formats.__name__}.{name}")) for name in names}


def region_format(path: Path) -> str | None:
    """The format of a region file or folder; None for one of another kind."""
    return next((name for name, one in known_formats().items() if one.fits(path)), None)


class RegionFile:
    """The regions of the images that a file, or a folder, names.

    It also stands where another model has a preprocessing: images are known by their files' names, and
    without one there are no regions.
    """

    version = VERSION
    size = 0

    def __init__(self, path: Path | str) -> None:
        """Index a file. Raises `UserError` for one that is not there, of no known format, or empty."""
        self.path = Path(path).absolute()
        if not self.path.exists():
            raise UserError(f"{path} does not exist; name a file of regions")
        name = region_format(self.path)
        if name is None:
            looked = "\n".join(f"  {name}: {one.LOOKED_FOR}" for name, one in known_formats().items())
            raise UserError(f"{path} holds no regions of images. Looked for:\n{looked}")
        self.format, self._format = name, known_formats()[name]
        self.problems: list[Problem] = []
        """What is wrong with the file as a whole, and ids that came before."""
        self.ids: dict[str, str] = {}
        """The id of each image as the file spells it, by what `image_key` makes of it."""
        self._places: dict[str, Any] = {}
        try:
            self._index()
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read: {error}") from error
        if not self.ids:
            reasons = "".join(f"\n  {problem}" for problem in self.problems[:5])
            raise UserError(f"{path} holds no regions{reasons}")

    def _index(self) -> None:
        for id, place in self._format.index(self.path, self.problems):
            if other := self.ids.get(key := image_key(id)):
                what = f"holds the image {id!r} twice" if id == other else f"holds {id!r} and {other!r} alike"
                self.problems.append(Problem(self.path, None, what, "delete one; the first is read"))
                continue
            self.ids[key], self._places[key] = id, place

    def __len__(self) -> int:
        return len(self.ids)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Raises `UsageError`: pixels have no name."""
        raise UsageError("the model reads regions from a file, by the names of images' files, and no pixels")

    @cached_property
    def width(self) -> int:
        """Numbers of a feature, by the first image whose regions can be read; all must have as many."""
        reason = ""
        for place in self._places.values():
            try:
                return self._format.load(self.path, place).shape[1] - CORNERS
            except ValueError as error:
                reason = reason or str(error)
        raise UserError(f"{self.path} holds no sound regions: the first image {reason}")

    @property
    def shape(self) -> tuple[int, int]:
        """Of an image with one region."""
        return 1, CORNERS + self.width

    def load(self, image: Path | str) -> np.ndarray:
        """The regions of an image file, `float32 [N 4+F]`.

        Raises `ImageError` for an image that the file does not name, or whose regions are unsound.
        """
        place = self._places.get(image_key(Path(image).name))
        if place is None:
            raise ImageError(image, f"has no regions in {self.path.name}")
        return self._sound(image, place)

    def load_id(self, key: str) -> np.ndarray:
        """The regions under a key of `ids`. Raises `ImageError` for unsound ones."""
        return self._sound(self.ids[key], self._places[key])

    def _sound(self, image: Path | str, place: Any) -> np.ndarray:
        try:
            found = self._format.load(self.path, place)
        except ValueError as error:
            raise ImageError(image, f"{self.path.name} {error}") from error
        if (width := found.shape[1] - CORNERS) != self.width:
            raise ImageError(
                image, f"{self.path.name} has {width} numbers per region, elsewhere {self.width}"
            )
        return found
