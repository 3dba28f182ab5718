"""How images reach a system: made square, then as pixels, or as the grid of a frozen backbone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from showtell.data.batch import Batch, ImageBatch
from showtell.data.images.preprocess import Preprocessing
from showtell.errors import MissingError, UserError
from showtell.hub.backbones import load_backbone


@dataclass(frozen=True)
class Sight:
    """What stands between a decoded image and a system."""

    size: int
    """`S`, the side of a prepared image in pixels."""
    version: str
    """How an image is prepared; another version means other vectors."""
    prepare: Callable[[np.ndarray], np.ndarray]
    """`uint8 [H W 3]` to `uint8 [S S 3]`."""
    batch: Callable[[np.ndarray], Batch]
    """`uint8 [B S S 3]` to what the system reads."""
    weights_hash: str = ""
    """Of the frozen backbone."""


def load_sight(preprocess: Mapping[str, Any], folder: Path, device: str) -> Sight | None:
    """What a checkpoint's `preprocess.json` asks for; None where its system sees no images.

    Raises `UserError` where this showtell prepares images in another way.
    """
    if not preprocess:
        return None
    wanted = str(preprocess.get("version"))
    if name := preprocess.get("backbone"):
        backbone = load_backbone(str(name), device)
        if wanted != backbone.preprocessing:
            raise _unlike(folder, wanted, backbone.preprocessing)
        if (trained := preprocess.get("hash")) and trained != backbone.hash:
            raise MissingError(
                f"{folder} was trained over the backbone {name} of hash {trained[:16]}; "
                f"what is there now has {backbone.hash[:16]}: put the old one back"
            )
        return Sight(
            backbone.size,
            backbone.preprocessing,
            backbone.prepare,
            lambda pixels: Batch(ImageBatch(features=backbone(pixels))),
            backbone.hash,
        )
    try:
        prepare = Preprocessing.of(wanted)
    except ValueError:
        raise _unlike(folder, wanted, "squash<size>-v1 or crop<size>-v1") from None
    return Sight(prepare.size, wanted, prepare, _pixels)


def _pixels(images: np.ndarray) -> Batch:
    return Batch(ImageBatch(pixels=torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()))


def _unlike(folder: Path, wanted: str, offered: str) -> UserError:
    return UserError(
        f"{folder} was trained on images prepared as {wanted}, this showtell prepares them "
        f"as {offered}; train it again, or use the showtell that made it"
    )
