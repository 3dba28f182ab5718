"""An image on its way to a model: made a square, then pixels, or the features of a frozen backbone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from showtell.checkpoint.frozen import moved_along
from showtell.data.batch import Batch, ImageBatch
from showtell.data.images.decode import MAX_PIXELS, load_image, pixels_of
from showtell.data.images.fit import Fit, padded
from showtell.data.images.mosaic import Mosaic, preprocessing_of
from showtell.data.images.page import Page
from showtell.data.images.preprocess import Preprocessing
from showtell.data.regions.read import VERSION, RegionFile
from showtell.data.regions.region import region_batch
from showtell.errors import MissingError, UsageError, UserError
from showtell.hub.backbone import Backbone
from showtell.hub.backbones import load_backbone

ImageLike = Path | str | Image.Image | np.ndarray
"""A file, a PIL image, or `uint8 [H W 3]` in sRGB: an array has no colour profile."""


@dataclass(frozen=True)
class ImageInput:
    """What stands between an image and a system, as the system's training images were prepared."""

    prepare: Preprocessing | Mosaic | Page | Fit | RegionFile
    """`uint8 [H W 3]` to `uint8 [S S 3]`, to several squares side by side, to a page, or whole patches; or
    what has the regions of images by their files' names, `float32 [N 4+F]`."""
    backbone: Backbone | None = None
    """Frozen, in front of the system."""

    @property
    def size(self) -> int:
        """`S`, the longer side of a prepared image in pixels."""
        return self.prepare.size

    @property
    def version(self) -> str:
        """Name of the preprocessing; another name means other vectors."""
        return self.prepare.version

    def read(self, image: ImageLike, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """One image, prepared. Raises `ImageError` for an unreadable file, `ValueError` for another array."""
        if isinstance(self.prepare, RegionFile) and isinstance(image, Path | str):
            return self.prepare.load(image)
        return self.prepare(self.decode(image, max_pixels))

    def decode(self, image: ImageLike, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """One image, `uint8 [H W 3]`, large enough to be prepared. Raises as `read`."""
        if isinstance(image, Image.Image):
            return pixels_of(image)
        if isinstance(image, Path | str):
            # A JPEG decoded at no less than twice the final size looks the same, and is read faster.
            return load_image(image, max_pixels, at_least=2 * self.size)
        if not isinstance(image, np.ndarray):
            raise TypeError(f"an image is a file, a PIL image or an array, not {type(image).__name__}")
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                f"an image is an array uint8 [H W 3], not {image.dtype} {list(image.shape)}; "
                "PIL.Image.fromarray reads other kinds"
            )
        return image

    def batch(self, images: Sequence[np.ndarray] | np.ndarray) -> Batch:
        """Prepared images `uint8 [S S 3]` as the system reads them; those of several sizes are padded."""
        if isinstance(self.prepare, RegionFile):
            return Batch(region_batch(list(images)))
        if not isinstance(images, np.ndarray):
            if len({image.shape for image in images}) > 1:
                return Batch(padded(images))
            images = np.stack(images)
        if self.backbone is not None:
            return Batch(ImageBatch(features=self.backbone(images)))
        return Batch(ImageBatch(pixels=torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()))

    def differentiable(self, pixels: Tensor) -> Batch:
        """Prepared images `float32 [B 3 S S]` in 0..1 as the system reads them, with gradients of the pixels.

        A frozen backbone is run by torch, whatever runs it otherwise.
        """
        if self.backbone is not None:
            return Batch(ImageBatch(features=self.backbone.features(pixels)))
        return Batch(ImageBatch(pixels=pixels))


def many(images: ImageLike | Iterable[ImageLike]) -> Iterable[ImageLike]:
    """One image or many, as many; an array of four axes is many."""
    if isinstance(images, bytes) or not isinstance(images, Iterable):
        return [images]
    one = isinstance(images, (Path, str, Image.Image)) or (isinstance(images, np.ndarray) and images.ndim < 4)
    return [images] if one else images  # type: ignore[list-item]


def _preparation(version: str) -> Preprocessing | Mosaic | Page | Fit:
    """What prepares images by a version. Raises `ValueError` for an unknown one."""
    if version.startswith("fit"):
        return Fit.of(version)
    return Page.of(version) if version.startswith("page") else preprocessing_of(version)


def _regions(folder: Path, file: Path | str | None) -> RegionFile:
    """The file of regions of a model. Raises `UserError` where it is not there."""
    if file is None or not Path(file).exists():
        was = f", and those it was trained on are no longer at {file}" if file else ""
        raise UserError(f"{folder} reads regions of images{was}; name a file of them with --regions")
    return RegionFile(file)


def load_image_input(
    preprocess: Mapping[str, Any],
    folder: Path,
    device: str,
    load: Callable[..., Backbone] = load_backbone,
    *,
    regions: Path | str | None = None,
) -> ImageInput | None:
    """The image input that a checkpoint's `preprocess.json` describes; None for a system without images.

    `regions` is the file of a model that reads those; by default the one it was trained on.

    Raises `UserError` for a preprocessing that this version does not have, `MissingError` for a backbone that
    is not on this machine or has other parameters than the one trained with.
    """
    version = str(preprocess.get("version"))
    if regions is not None and version != VERSION:
        raise UsageError(f"{folder} reads no regions; leave out --regions {regions}")
    if version == VERSION:
        return ImageInput(_regions(folder, regions or preprocess.get("regions")))
    if not preprocess.keys() - {"texts", "tokenizer", "printed_text"}:
        return None
    try:
        prepare = _preparation(version)
    except ValueError:
        raise UserError(
            f"{folder} was trained with the preprocessing {version}, this showtell has squash<size>-v1, "
            "crop<size>-v1, fit<size>x<patch>-v1 and page<height>x<width>of<letter>-v1; train it again, or "
            "use the showtell that made it"
        ) from None
    if not (name := preprocess.get("backbone")):
        return ImageInput(prepare)
    try:
        backbone = load("+".join(moved_along(one, folder) for one in str(name).split("+")), device)
    except UserError as error:
        raise MissingError(
            f"{folder} needs the frozen backbone {name} as it was: {error}. Put it back, or beside {folder}"
        ) from error
    if (wanted := preprocess.get("hash")) and wanted != backbone.hash:
        raise MissingError(
            f"{folder} was trained over the backbone {name} of hash {wanted[:16]}; "
            f"what is there now has {backbone.hash[:16]}: put the old one back"
        )
    if version != backbone.preprocessing:
        raise UserError(
            f"{folder} was trained with the preprocessing {version}, its backbone {name} now has "
            f"{backbone.preprocessing}; train it again, or use the showtell that made it"
        )
    return ImageInput(prepare, backbone)
