"""ResNet as `ResNetForImageClassification`, its encoder alone as `ResNetModel`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from showtell.errors import UsageError
from showtell.hub.huggingface.names import align
from showtell.hub.huggingface.rename import Rename, linear, rename
from showtell.hub.huggingface.setting import classes_from, classes_to, expect
from showtell.systems.resnet import (
    ResNetClassifier,
    ResNetClassifierConfig,
    ResNetEncoder,
    ResNetEncoderConfig,
)

MODEL_TYPES = ("resnet",)
SYSTEMS = (ResNetClassifier, ResNetEncoder)
PROCESSOR = "BitImageProcessor"
UNNAMED_PROCESSOR = "ConvNextImageProcessor"
ANCHOR, BASE = "embedder.embedder.convolution.weight", "resnet."
MARK = ANCHOR
# The reference's own, which its older files leave out.
DEFAULTS: dict[str, Any] = {
    "embedding_size": 64,
    "hidden_sizes": (256, 512, 1024, 2048),
    "depths": (3, 4, 6, 3),
    "layer_type": "bottleneck",
}
LAYER_TYPES = ("basic", "bottleneck")


def config_from(theirs: Mapping[str, Any], names: set[str]) -> ResNetEncoderConfig:
    """Our config. A classifier without class names has two classes, as in the reference."""
    theirs = DEFAULTS | dict(theirs)
    expect(
        theirs,
        num_channels=3,
        hidden_act="relu",
        downsample_in_first_stage=False,
        downsample_in_bottleneck=False,
    )
    sizes = {
        "depths": tuple(theirs["depths"]),
        "widths": tuple(theirs["hidden_sizes"]),
        "bottleneck": bool(LAYER_TYPES.index(theirs["layer_type"])),
        "stem_width": theirs["embedding_size"],
    }
    if "classifier.1.weight" not in names:
        return ResNetEncoderConfig(**sizes)
    return ResNetClassifierConfig(**sizes, **classes_from(theirs))


def config_to(ours: ResNetEncoderConfig) -> dict[str, Any]:
    """Their `config.json`, from our config."""
    if ours.stem != "imagenet":
        raise UsageError(f"ResNet of transformers has the stem 'imagenet', not {ours.stem!r}")
    classifies = isinstance(ours, ResNetClassifierConfig)
    return {
        "model_type": "resnet",
        "architectures": ["ResNetForImageClassification" if classifies else "ResNetModel"],
        "num_channels": 3,
        "embedding_size": ours.stem_width,
        "hidden_sizes": list(ours.widths),
        "depths": list(ours.depths),
        "layer_type": LAYER_TYPES[ours.bottleneck],
        "hidden_act": "relu",
        "downsample_in_first_stage": False,
        "downsample_in_bottleneck": False,
        **(classes_to(ours) if classifies else {}),
    }


def tidy(found: dict[str, Tensor], theirs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Their tensors without the prefixes of wrappers."""
    return align(found, ANCHOR, BASE, ("classifier.",))


def table(ours: ResNetEncoderConfig) -> list[Rename]:
    """The rename table of all tensors."""
    classifies = isinstance(ours, ResNetClassifierConfig)
    prefix = "resnet." if classifies else ""
    out = _convolution("net.stem.0", f"{prefix}embedder.embedder")
    width_in = ours.stem_width
    for stage, (depth, width) in enumerate(zip(ours.depths, ours.widths, strict=True)):
        for i in range(depth):
            block, layer = f"net.stages.{stage}.{i}", f"{prefix}encoder.stages.{stage}.layers.{i}"
            if i == 0 and (stage > 0 or width_in != width):
                out += _convolution(f"{block}.shortcut", f"{layer}.shortcut")
            for j in range(3 if ours.bottleneck else 2):
                out += _convolution(f"{block}.layers.{j}", f"{layer}.layer.{j}")
        width_in = width
    if classifies:
        out += linear("classifier", "classifier.1")
    return out


def _convolution(ours: str, theirs: str) -> list[Rename]:
    """A convolution and its batch norm."""
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    return [
        rename(f"{ours}.0.weight", f"{theirs}.convolution.weight"),
        *linear(f"{ours}.1", f"{theirs}.normalization"),
        *(rename(f"{ours}.1.{name}", f"{theirs}.normalization.{name}") for name in statistics),
    ]
