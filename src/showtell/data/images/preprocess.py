"""Preprocessing of an image to the square that a network reads, with a name that checkpoints keep."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from PIL import Image

from showtell.data.images.resize import crop, squash

Way = Literal["squash", "crop"]
Filter = Literal["bilinear", "bicubic", "lanczos"]
FILTERS: dict[Filter, Image.Resampling] = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
USUAL: dict[Way, Filter] = {"squash": "bilinear", "crop": "bicubic"}


@dataclass(frozen=True)
class Preprocessing:
    """Squash to `size` x `size` pixels, or resize the shorter side to `shortest` and crop the centre.

    Its `version` is `squash224-v1` or `crop224-v1`; `crop224of256-v1` resizes to 256 first; a filter that is
    not the default is named, as in `squash384-bicubic-v1`.

    >>> prepare = Preprocessing.of("crop4of6-v1")
    >>> prepare(np.zeros((30, 20, 3), np.uint8)).shape, prepare.version
    ((4, 4, 3), 'crop4of6-v1')

    Raises `ValueError` for a crop larger than the resized image.
    """

    way: Way
    size: int
    shortest: int
    filter: Filter

    def __post_init__(self) -> None:
        if self.shortest < self.size:
            raise ValueError(f"{self.size} pixels cannot be cropped from {self.shortest}")

    @classmethod
    def of(cls, version: str) -> Preprocessing:
        """The preprocessing with a version. Raises `ValueError` for an unknown one."""
        filters = "|".join(FILTERS)
        known = re.fullmatch(
            rf"(squash|crop)([1-9]\d*)(?:of([1-9]\d*))?(?:-({filters}))?-v1", version, re.ASCII
        )
        if known is None or (known[1] == "squash" and known[3]):
            raise ValueError(f"there is no preprocessing {version!r}")
        way = cast(Way, known[1])
        return cls(way, int(known[2]), int(known[3] or known[2]), cast(Filter, known[4] or USUAL[way]))

    @property
    def version(self) -> str:
        """The name that `of` reads."""
        first = "" if self.shortest == self.size else f"of{self.shortest}"
        filter = "" if self.filter == USUAL[self.way] else f"-{self.filter}"
        return f"{self.way}{self.size}{first}{filter}-v1"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of what a call returns."""
        return self.size, self.size, 3

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """`uint8 [H W 3]` to `uint8 [size size 3]`."""
        if self.way == "squash":
            return squash(pixels, self.size, FILTERS[self.filter])
        return crop(pixels, self.size, self.shortest, FILTERS[self.filter])

    @property
    def parts(self) -> tuple[Preprocessing, ...]:
        """Itself alone: an image that several preprocessings prepare has several."""
        return (self,)

    def seen(self, height: int, width: int) -> tuple[float, float, float, float]:
        """The part of an image of this size that is kept: left, top, right and bottom, 0 to 1.

        >>> Preprocessing.of("squash8-v1").seen(20, 40), Preprocessing.of("crop8-v1").seen(20, 40)
        ((0.0, 0.0, 1.0, 1.0), (0.25, 0.0, 0.75, 1.0))
        """
        if self.way == "squash":
            return 0.0, 0.0, 1.0, 1.0
        side = min(height, width) * self.size / self.shortest
        left, top = (0.5 - side / length / 2 for length in (width, height))
        return left, top, 1 - left, 1 - top
