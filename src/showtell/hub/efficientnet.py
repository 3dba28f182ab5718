"""EfficientNet-Lite from a file of weights under the names of `efficientnet_pytorch`."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from showtell.nn.unfilled import Unfilled
from showtell.systems.efficientnet import EfficientNet, EfficientNetConfig

# The reference's names of the layers of a block, and their places in ours.
BLOCK_LAYERS = {
    "_expand_conv": 0,
    "_bn0": 1,
    "_depthwise_conv": 3,
    "_bn1": 4,
    "_project_conv": 6,
    "_bn2": 7,
}
OUTER_LAYERS = {
    "_conv_stem": "stem.0",
    "_bn0": "stem.1",
    "_conv_head": "head.0",
    "_bn1": "head.1",
    "_fc": "classifier",
}


def read_efficientnet(path: Path, width: float = 1.0, depth: float = 1.0) -> EfficientNet:
    """The classifier of this width and depth, strictly: every tensor of the file, no other."""
    reference = torch.load(path, map_location="cpu", weights_only=True)
    with Unfilled():
        system = EfficientNet(EfficientNetConfig(width, depth))
    system.net.load_state_dict({rename(name): tensor for name, tensor in reference.items()}, strict=True)
    return system.eval()


def rename(name: str) -> str:
    """A tensor's name in the reference file to its name in `nn.backbones.efficientnet`.

    >>> rename("_blocks.3._bn1.running_mean"), rename("_blocks.0._bn1.bias"), rename("_fc.weight")
    ('blocks.3.layers.4.running_mean', 'blocks.0.layers.1.bias', 'classifier.weight')
    """
    if block := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name):
        index, layer, tensor = block.groups()
        # The first block does not expand, so it lacks the three layers that do.
        return f"blocks.{index}.layers.{BLOCK_LAYERS[layer] - 3 * (index == '0')}.{tensor}"
    layer, tensor = name.split(".")
    return f"{OUTER_LAYERS[layer]}.{tensor}"
