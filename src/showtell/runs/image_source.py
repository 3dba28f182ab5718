"""The image input of a run: pixels, the features of a frozen backbone, or the regions of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from showtell.checkpoint.load import Checkpoint
from showtell.data.features import ImageStore
from showtell.data.images.fit import Fit
from showtell.data.images.preprocess import Preprocessing
from showtell.datasets.caches import (
    feature_cache,
    fitted_cache,
    pixel_cache,
    pixel_preprocess,
    prepared_cache,
)
from showtell.datasets.regions import RegionImages, region_file
from showtell.errors import MissingError, UsageError
from showtell.hub.backbones import find_backbones, load_backbone
from showtell.runs.job import require

OTHER_FEATURES = "--set backbone= its own, or --set regions= a file of such features"
"""What helps where a checkpoint was trained on features of another width."""


@dataclass(frozen=True)
class ImageSource:
    """Where images come from on their way into a system."""

    cache: ImageStore
    preprocess: Mapping[str, Any]
    """The content of the checkpoint's `preprocess.json`."""
    system: Any
    """The system's config, for these images."""
    sources: tuple[str, ...] = ()
    """Whose parameters read the images before the system does, for the model card."""


def image_source(
    kind: str,
    system: nn.Module,
    backbone: str,
    device: str,
    *,
    regions: Path | None = None,
    fit: Fit | None = None,
) -> ImageSource:
    """The input that suits a system: `reads` says whether it reads pixels, the features of the `backbone`, or
    their mean alone, which takes a fiftieth of the cache. With `regions`, a file of them stands in place of a
    backbone; with `fit`, images keep their aspect ratio.

    Raises `UsageError` for a system that reads none of them, `UserError` for a file that holds no regions.
    """
    config: Any = system.config
    if regions is not None:
        require_regions(kind, system)
        file = region_file(regions)
        return ImageSource(
            RegionImages(file),
            {"regions": str(file.path), "version": file.version},
            config.with_feature_width(file.width),
            (f"Regions of the images, which an object detector found: {file.path.name}, {file.format}.",),
        )
    reads = getattr(system, "reads", "")
    known = ("pixels", "features", "pooled features")
    require(reads in known, kind, system, "it reads neither pixels nor features of images")
    if reads == "pixels":
        size = config.image_size
        if fit is not None:
            return ImageSource(fitted_cache(fit), {"size": size, "version": fit.version}, config)
        return ImageSource(pixel_cache(size), pixel_preprocess(size), config)
    frozen = load_backbone(backbone, device)
    return ImageSource(
        feature_cache(frozen, pooled=reads == "pooled features"),
        {"backbone": frozen.name, "version": frozen.preprocessing, "hash": frozen.hash},
        config.with_feature_width(frozen.width),
        (f"The frozen backbone, which is not part of this checkpoint: {frozen.about}",),
    )


def store_of(base: Checkpoint, name: str, device: str) -> ImageStore:
    """Images as the checkpoint `name` reads them, by its `preprocess.json`.

    Raises `MissingError` for a backbone that is not here or not as it was, `UsageError` for a preprocessing
    that is no square.
    """
    said = base.preprocess
    if backbone := said.get("backbone"):
        frozen = load_backbone(str(backbone), device)
        if frozen.hash != said.get("hash"):
            raise MissingError(f"{name} was trained over another {backbone}; put that one back")
        return feature_cache(frozen)
    try:
        return prepared_cache(Preprocessing.of(str(said.get("version"))))
    except ValueError as error:
        raise UsageError(f"{name} reads images of its own shape: {error}; adapt another model") from error


def fit_of(kind: str, system: nn.Module, keep_ratio: bool, before: str = "") -> Fit | None:
    """The resizing that keeps the aspect ratio of a system's images: where a run asks for it, or as the
    preprocessing `before`, of a model that it starts from, does.

    Raises `UsageError` for a system that reads squares alone.
    """
    if before.startswith("fit"):
        return Fit.of(before)
    if not keep_ratio:
        return None
    several = getattr(system, "reads_several_sizes", False)
    require(several, kind, system, "it reads squares alone; leave out keep_ratio")
    config: Any = system.config
    return Fit(config.image_size, config.size_multiple)


def require_regions(kind: str, system: nn.Module) -> None:
    """Raises `UsageError` for a system that reads no regions."""
    require(getattr(system, "reads_regions", False), kind, system, "it reads no regions; leave out regions=")


def require_images(kind: str, system: nn.Module, backbone: str, regions: Path | None) -> None:
    """Raises `MissingError`, `UserError` or `UsageError` for a backbone, or a file of regions, that a system
    needs and that is not here."""
    if regions is not None:
        require_regions(kind, system)
        region_file(regions)
    else:
        require_backbone(system, backbone)


def require_backbone(system: nn.Module, backbone: str) -> None:
    """Raises `MissingError` or `UsageError` for a backbone that a system needs and that is not here."""
    if getattr(system, "reads", "") == "features":
        find_backbones(backbone)
