"""EfficientNet-Lite: a convolutional network, trained to classify the images of ImageNet, and its features.

    224 x 224 x 3 -> convolution -> inverted residual blocks -> 7 x 7 x 1280 -> mean -> linear -> classes

Source: Tan & Le 2019, "EfficientNet", table 1; the "lite" variants of the TensorFlow TPU repository (2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.data.labels.imagenet import imagenet_classes
from showtell.nn.backbones.efficientnet import EfficientNetLite
from showtell.nn.pixels import PixelNorm
from showtell.protocols import Encoded, Step


@dataclass(frozen=True)
class EfficientNetConfig:
    """Lite0. Pixels are normalised by `mean` and `std`, in 0..1."""

    width_scale: float = 1.0
    """A multiple of Lite0's; 1.1 in Lite2."""
    depth_scale: float = 1.0
    """A multiple of Lite0's; 1.2 in Lite2."""
    mean: tuple[float, ...] = (127 / 255,) * 3
    std: tuple[float, ...] = (128 / 255,) * 3

    def build(self) -> EfficientNet:
        """The untrained system of this config."""
        return EfficientNet(self)


class EfficientNet(nn.Module):
    """A convolutional classifier."""

    Config: ClassVar = EfficientNetConfig
    reads: ClassVar = "pixels"
    loss_weights: ClassVar = {"classes": 1.0}

    def __init__(self, config: EfficientNetConfig) -> None:
        super().__init__()
        self.config = config
        self.normalise = PixelNorm(config.mean, config.std)
        self.net = EfficientNetLite(config.width_scale, config.depth_scale)

    @property
    def class_names(self) -> Sequence[str]:
        """ImageNet's."""
        return imagenet_classes()

    def encode_images(self, batch: Batch) -> Encoded:
        """The grid before pooling, `tokens [B H/32*W/32 1280]` row by row, and its mean."""
        grid = self.net(self.normalise(batch.images.pixels))
        return Encoded(grid, grid.mean(1))

    def feature_layers(self) -> nn.Module:
        """From normalised pixels `[B 3 H W]` to the grid `[B 1280 H/32 W/32]`."""
        return nn.Sequential(self.net.stem, self.net.blocks, self.net.head)

    def classify(self, encoded: Encoded) -> Float[Tensor, "B K"]:
        """Logits `[B 1000]`."""
        return self.net.classifier(encoded.pooled)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of the classes."""
        logits = self.classify(self.encode_images(batch))
        return Step({"classes": F.cross_entropy(logits, batch.targets.labels)})
