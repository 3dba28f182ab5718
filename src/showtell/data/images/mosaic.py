"""Several preprocessings of one image, side by side in one array: networks that read different squares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from torch import Tensor

from showtell.data.images.preprocess import Preprocessing

Canvas = TypeVar("Canvas", np.ndarray, Tensor)


@dataclass(frozen=True)
class Mosaic:
    """The squares of some preprocessings from left to right, on a canvas as high as the largest.

    >>> both = Mosaic.of(["squash4-v1", "crop6-v1", "squash4-v1"])
    >>> both(np.ones((9, 12, 3), np.uint8)).shape, both.version
    ((6, 10, 3), 'squash4-v1+crop6-v1')
    """

    parts: tuple[Preprocessing, ...]

    @classmethod
    def of(cls, versions: Sequence[str]) -> Mosaic:
        """One square per version, whatever the number of networks that read it."""
        return cls(tuple(Preprocessing.of(version) for version in dict.fromkeys(versions)))

    @property
    def version(self) -> str:
        """The name that `preprocessing_of` reads."""
        return "+".join(part.version for part in self.parts)

    @property
    def size(self) -> int:
        """The height in pixels, which is the side of the largest square."""
        return max(part.size for part in self.parts)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of what a call returns."""
        return self.size, sum(part.size for part in self.parts), 3

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """`uint8 [H W 3]` to `uint8 [size sum-of-sizes 3]`."""
        canvas = np.zeros(self.shape, np.uint8)
        for version, square in self.squares(canvas).items():
            square[:] = Preprocessing.of(version)(pixels)
        return canvas

    def squares(self, canvas: Canvas) -> Mapping[str, Canvas]:
        """Views of `[... size sum-of-sizes 3]` by version, each `[... S S 3]`."""
        found, left = {}, 0
        for part in self.parts:
            found[part.version] = canvas[..., : part.size, left : left + part.size, :]
            left += part.size
        return found


def preprocessing_of(version: str) -> Preprocessing | Mosaic:
    """The preprocessing with a version, several of them joined by `+`. Raises `ValueError` for another."""
    versions = version.split("+")
    return Mosaic.of(versions) if len(versions) > 1 else Preprocessing.of(version)
