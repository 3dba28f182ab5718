"""The image input of a run with captions: pixels, or the features of a frozen backbone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from showtell.data.features import FeatureCache
from showtell.datasets.caches import feature_cache, pixel_cache, pixel_preprocess
from showtell.hub.backbones import find_backbones, load_backbone
from showtell.runs.job import require


@dataclass(frozen=True)
class ImageSource:
    """Where images come from on their way into a system."""

    cache: FeatureCache
    preprocess: Mapping[str, Any]
    """The content of the checkpoint's `preprocess.json`."""
    system: Any
    """The system's config, for these images."""
    sources: tuple[str, ...] = ()
    """Whose parameters read the images before the system does, for the model card."""


def image_source(kind: str, system: nn.Module, backbone: str, device: str) -> ImageSource:
    """The input that suits a system: `reads` says whether it reads pixels, the features of the `backbone`, or
    their mean alone, which takes a fiftieth of the cache.

    Raises `UsageError` for a system that reads none of them.
    """
    config: Any = system.config
    reads = getattr(system, "reads", "")
    known = ("pixels", "features", "pooled features")
    require(reads in known, kind, system, "it reads neither pixels nor features of images")
    if reads == "pixels":
        size = config.image_size
        return ImageSource(pixel_cache(size), pixel_preprocess(size), config)
    frozen = load_backbone(backbone, device)
    return ImageSource(
        feature_cache(frozen, pooled=reads == "pooled features"),
        {"backbone": frozen.name, "version": frozen.preprocessing, "hash": frozen.hash},
        config.with_feature_width(frozen.width),
        (f"The frozen backbone, which is not part of this checkpoint: {frozen.about}",),
    )


def require_backbone(system: nn.Module, backbone: str) -> None:
    """Raises `MissingError` or `UsageError` for a backbone that a system needs and that is not here."""
    if getattr(system, "reads", "") == "features":
        find_backbones(backbone)
