"""What is computed once an image and kept between runs, in `$XDG_CACHE_HOME/showtell`."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from showtell.data.features import FeatureCache, FeatureRows
from showtell.data.images.preprocess import Preprocessing
from showtell.hub.backbones import Backbone
from showtell.wording import counted


def feature_cache(backbone: Backbone) -> FeatureCache:
    """The grids of a frozen backbone."""
    return FeatureCache(
        _home() / "features",
        backbone.hash,
        backbone.preprocessing,
        backbone,
        (backbone.num_tokens, backbone.width),
        backbone.size,
        prepare=backbone.prepare,
    )


def pixel_cache(size: int) -> FeatureCache:
    """Images squashed to `size` pixels a side, `uint8 [3 S S]` each."""
    shape = (3, size, size)
    return FeatureCache(_home() / "pixels", "", _squashed(size), _channels_first, shape, size, np.uint8)


def pixel_preprocess(size: int) -> dict[str, Any]:
    """What a checkpoint's `preprocess.json` says of such images."""
    return {"size": size, "version": _squashed(size)}


@dataclass(frozen=True)
class Pixels:
    """Rows of a cache of pixels."""

    names: list[str]
    rows: np.ndarray
    """Of each image, its row of the array."""
    array: np.ndarray
    """`uint8 [M 3 S S]`, memory-mapped."""

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, items: Sequence[int]) -> Tensor:
        """Some images, `uint8 [B 3 S S]`."""
        return torch.from_numpy(self.array[self.rows[items]])

    @property
    def hash(self) -> str:
        """SHA-256 of the names and the pixels, in their order."""
        digest = hashlib.sha256()
        for name, row in zip(self.names, self.rows, strict=True):
            digest.update(os.fsencode(name) + b"\0")
            digest.update(self.array[row])
        return digest.hexdigest()


def tell_skipped(found: FeatureRows) -> None:
    """Say on standard error how many images could not be read, and why the first."""
    if found.skipped:
        first, reason = next(iter(found.skipped.items()))
        skipped = counted(len(found.skipped), "image")
        print(f"{skipped} skipped, the first: {first}: {reason}", file=sys.stderr)


def _squashed(size: int) -> str:
    return Preprocessing("squash", size, size, "bilinear").version


def _home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "showtell"


def _channels_first(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)
