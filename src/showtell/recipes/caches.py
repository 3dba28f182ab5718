"""What is computed once a picture and kept between runs, in `$XDG_CACHE_HOME/showtell`."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from showtell.data.features import FeatureCache
from showtell.hub.backbones import Backbone


def feature_cache(backbone: Backbone) -> FeatureCache:
    """The grids of a frozen backbone."""
    return FeatureCache(
        _home() / "features",
        backbone.hash,
        backbone.preprocessing,
        backbone,
        (backbone.num_tokens, backbone.width),
        backbone.size,
    )


def pixel_cache(size: int) -> FeatureCache:
    """Pictures squashed to `size` pixels a side, `uint8 [3 S S]` each."""
    shape = (3, size, size)
    return FeatureCache(_home() / "pixels", "", f"squash{size}-v1", _channels_first, shape, size, np.uint8)


def _home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "showtell"


def _channels_first(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)
