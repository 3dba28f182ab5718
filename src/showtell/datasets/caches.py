"""The caches of image data sets: what is computed once per image and kept between runs."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from showtell.data.features import FeatureCache
from showtell.data.images.fit import Fit, unpacked
from showtell.data.images.preprocess import Preprocessing
from showtell.hub.backbone import Backbone
from showtell.wording import counted, one_line
from showtell.writing import cache_folder

logger = logging.getLogger(__name__)


def feature_cache(backbone: Backbone, pooled: bool = False) -> FeatureCache:
    """The features of a frozen backbone, `[N D]` per image, or with `pooled` their mean alone, `[1 D]`."""
    return FeatureCache(
        cache_folder() / "features",
        backbone.hash,
        backbone.preprocessing,
        (lambda pixels: backbone(pixels).mean(1, keepdim=True)) if pooled else backbone,
        (1 if pooled else backbone.num_tokens, backbone.width),
        backbone.size,
        prepare=backbone.prepare,
    )


def pixel_cache(size: int) -> FeatureCache:
    """Images squashed to `size` pixels a side, `uint8 [3 S S]` each."""
    return prepared_cache(Preprocessing.of(_squashed(size)))


def prepared_cache(prepare: Preprocessing) -> FeatureCache:
    """Images made a square by a preprocessing, `uint8 [3 S S]` each."""
    return FeatureCache(
        cache_folder() / "pixels",
        "",
        prepare.version,
        _channels_first,
        (3, prepare.size, prepare.size),
        prepare.size,
        np.uint8,
        prepare,
    )


def fitted_cache(fit: Fit) -> FeatureCache:
    """Images that keep their aspect ratio, `uint8 [F]` each."""
    return FeatureCache(
        cache_folder() / "pixels",
        "",
        fit.version,
        torch.from_numpy,
        (fit.packed_length,),
        fit.size,
        np.uint8,
        fit.pack,
        unpacked,
    )


def pixel_preprocess(size: int) -> dict[str, Any]:
    """The content of the `preprocess.json` of a checkpoint that reads such images."""
    return {"size": size, "version": _squashed(size)}


@dataclass(frozen=True)
class Pixels:
    """Some rows of a cache of pixels."""

    names: list[str]
    rows: np.ndarray
    """Each image's row in the array."""
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


def log_skipped(skipped: Mapping[Path, str]) -> None:
    """One warning: how many images could not be read, the first, and why."""
    if skipped:
        first, reason = next(iter(skipped.items()))
        logger.warning(
            "%s skipped, the first: %s: %s", counted(len(skipped), "image"), one_line(first), reason
        )


def _squashed(size: int) -> str:
    return Preprocessing("squash", size, size, "bilinear").version


def _channels_first(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)
