"""Images resized whole, their aspect ratio kept, to sides that are multiples of a patch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from PIL import Image

from showtell.data.batch import ImageBatch
from showtell.data.images.preprocess import FILTERS, Filter

LONGEST = 1333 / 800
"""The longer side at most, as a multiple of the shorter side's size."""
USUAL: Filter = "bicubic"
_SIDES = 4  # bytes of height and width


@dataclass(frozen=True)
class Fit:
    """The shorter side to `shortest` pixels, the longer to 5/3 of it at most, both cut to whole patches.

    Source: Kim et al. 2021, "ViLT", section 4.1.

    >>> prepare = Fit.of("fit384x32-v1")
    >>> prepare(np.zeros((300, 400, 3), np.uint8)).shape, prepare(np.zeros((90, 900, 3), np.uint8)).shape
    ((384, 512, 3), (64, 608, 3))
    """

    shortest: int
    multiple: int
    filter: Filter = USUAL

    @classmethod
    def of(cls, version: str) -> Fit:
        """The preprocessing with a version. Raises `ValueError` for an unknown one."""
        known = re.fullmatch(rf"fit([1-9]\d*)x([1-9]\d*)(?:-({'|'.join(FILTERS)}))?-v1", version, re.ASCII)
        if known is None:
            raise ValueError(f"there is no preprocessing {version!r}")
        return cls(int(known[1]), int(known[2]), cast(Filter, known[3] or USUAL))

    @property
    def version(self) -> str:
        """The name that `of` reads."""
        filter = "" if self.filter == USUAL else f"-{self.filter}"
        return f"fit{self.shortest}x{self.multiple}{filter}-v1"

    @property
    def size(self) -> int:
        """The longer side in pixels, at most."""
        return int(LONGEST * self.shortest)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of what a call returns for a square image."""
        side = self._whole(self.shortest)
        return side, side, 3

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """`uint8 [H W 3]` to `uint8 [H' W' 3]`; a very long image is one patch high at least."""
        sides = np.array(pixels.shape[:2], np.float64)
        sides *= self.shortest / sides.min()
        if sides.max() > self.size:
            sides *= self.size / sides.max()
        height, width = (self._whole(int(side + 0.5)) for side in sides)
        return np.array(Image.fromarray(pixels).resize((width, height), FILTERS[self.filter]))

    @property
    def packed_length(self) -> int:
        """Of what `pack` returns: two numbers for the sides, then the pixels of the largest image."""
        return _SIDES + 3 * self._whole(self.shortest) * self._whole(self.size)

    def pack(self, pixels: np.ndarray) -> np.ndarray:
        """As a call, in a row of one length for every image, `uint8 [F]`: height, width, `[3 H W]`, zeros."""
        image = self(pixels)
        row = np.zeros(self.packed_length, np.uint8)
        row[:_SIDES].view("<u2")[:] = image.shape[:2]
        row[_SIDES : _SIDES + image.size] = image.transpose(2, 0, 1).ravel()
        return row

    def _whole(self, side: int) -> int:
        return max(side // self.multiple, 1) * self.multiple


def padded(images: Sequence[np.ndarray]) -> ImageBatch:
    """Prepared images, `uint8 [H W 3]` each: smaller ones are padded below and on the right.

    >>> padded([np.zeros((4, 8, 3), np.uint8), np.zeros((6, 2, 3), np.uint8)]).pixels.shape
    torch.Size([2, 3, 6, 8])
    """
    sizes = np.array([image.shape[:2] for image in images])
    height, width = sizes.max(0)
    pixels = np.zeros((len(images), 3, height, width), np.uint8)
    for place, image in enumerate(images):
        pixels[place, :, : image.shape[0], : image.shape[1]] = image.transpose(2, 0, 1)
    return ImageBatch(pixels=torch.from_numpy(pixels), sizes=torch.from_numpy(sizes))


def unpacked(rows: np.ndarray) -> ImageBatch:
    """Rows of `Fit.pack` as a batch, padded to the largest of them; without `sizes` where all are alike.

    >>> fit = Fit(8, 4)
    >>> unpacked(np.stack([fit.pack(np.zeros((4, 4 * n, 3), np.uint8)) for n in (1, 2)])).sizes.tolist()
    [[8, 8], [4, 12]]
    """
    images = []
    for row in rows:
        height, width = row[:_SIDES].view("<u2").tolist()
        image = row[_SIDES : _SIDES + 3 * height * width].reshape(3, height, width)
        images.append(image.transpose(1, 2, 0))
    batch = padded(images)
    return batch if len({image.shape for image in images}) > 1 else ImageBatch(pixels=batch.pixels)
