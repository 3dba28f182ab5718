"""Weights of `nn.resnet` in and out, in the Hugging Face layout of `ResNetModel`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from showtell.nn.backbones.resnet import ResNet

LAYERS = {"convolution": "0", "normalization": "1"}
NAMES = {inside: outside for outside, inside in LAYERS.items()}


def rename(name: str) -> str:
    """A tensor's name in the reference to its name in `nn.resnet`.

    >>> rename("encoder.stages.1.layers.0.layer.2.normalization.bias")
    'stages.1.0.layers.2.1.bias'
    >>> rename("embedder.embedder.convolution.weight")
    'stem.0.0.weight'
    """
    place, kind, tensor = name.rsplit(".", 2)
    if place == "embedder.embedder":
        place = "stem.0"
    elif block := re.fullmatch(r"encoder\.stages\.(\d+)\.layers\.(\d+)\.(shortcut|layer\.\d+)", place):
        stage, index, part = block.groups()
        place = f"stages.{stage}.{index}.{part.replace('layer.', 'layers.')}"
    else:
        raise KeyError(name)
    return f"{place}.{LAYERS[kind]}.{tensor}"


def rename_back(name: str) -> str:
    """The inverse of `rename`.

    >>> rename_back("stages.1.0.layers.2.1.bias")
    'encoder.stages.1.layers.0.layer.2.normalization.bias'
    """
    place, kind, tensor = name.rsplit(".", 2)
    if place == "stem.0":
        place = "embedder.embedder"
    elif block := re.fullmatch(r"stages\.(\d+)\.(\d+)\.(shortcut|layers\.\d+)", place):
        stage, index, part = block.groups()
        place = f"encoder.stages.{stage}.layers.{index}.{part.replace('layers.', 'layer.')}"
    else:
        raise KeyError(name)
    return f"{place}.{NAMES[kind]}.{tensor}"


def load_resnet(net: ResNet, weights: Mapping[str, Tensor]) -> None:
    """Copy the weights of a reference `ResNetModel`, strictly: every tensor, no other."""
    net.load_state_dict({rename(name): tensor for name, tensor in weights.items()}, strict=True)


def export_resnet(net: ResNet) -> dict[str, Tensor]:
    """The weights under the names that a reference `ResNetModel` loads."""
    return {rename_back(name): tensor for name, tensor in net.state_dict().items()}
