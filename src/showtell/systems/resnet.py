"""ResNet: a residual network that classifies images, and its features.

    224 x 224 x 3 -> stem 56 x 56 x 64 -> stages of relu(x + f(x)), 7 x 7 x 2048 -> mean -> linear -> classes

Source: He et al. 2016, "Deep Residual Learning for Image Recognition", table 1, figures 2 and 5; ResNet-50. A
bottleneck strides in its 3 x 3 convolution (ResNet "v1.5"), as in the weights that are released.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.nn.backbones.resnet import ResNet, ResNetShape, Stem
from showtell.nn.linear import Linear
from showtell.nn.pixels import PixelNorm
from showtell.protocols import Encoded, Step


@dataclass(frozen=True)
class ResNetEncoderConfig:
    """ResNet-50. `mean` and `std` are those of pixels in 0..1."""

    depths: tuple[int, ...] = (3, 4, 6, 3)
    widths: tuple[int, ...] = (256, 512, 1024, 2048)
    bottleneck: bool = True
    stem: Stem = "imagenet"
    stem_width: int = 64
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    @property
    def shape(self) -> ResNetShape:
        """The shape of the network's stages."""
        return ResNetShape(self.depths, self.widths, self.bottleneck, self.stem_width)

    def build(self) -> ResNetEncoder:
        """The untrained system of this config."""
        return ResNetEncoder(self)


class ResNetEncoder(nn.Module):
    """A residual network without a classifier."""

    Config: ClassVar = ResNetEncoderConfig
    reads: ClassVar = "pixels"

    def __init__(self, config: ResNetEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.normalise = PixelNorm(config.mean, config.std)
        self.net = ResNet(config.shape, config.stem)

    def encode_images(self, batch: Batch) -> Encoded:
        """The grid before pooling, `[B N D]` row by row, pooled as its mean; images of any size."""
        grid = self.net(self.normalise(batch.images.pixels))
        return Encoded(grid, grid.mean(1))

    def feature_layers(self) -> nn.Module:
        """From normalised pixels `[B 3 H W]` to the grid `[B D H/32 W/32]`."""
        return nn.Sequential(self.net.stem, self.net.stages)


@dataclass(frozen=True)
class ResNetClassifierConfig(ResNetEncoderConfig):
    """ResNet-50 with the classes of ImageNet."""

    num_classes: int = 1000
    class_names: tuple[str, ...] = ()
    """In the order of the logits; empty if the classes have no names."""

    def __post_init__(self) -> None:
        if len(self.class_names) not in (0, self.num_classes):
            raise ValueError(f"{len(self.class_names)} names for {self.num_classes} classes")

    def build(self) -> ResNetClassifier:
        """The untrained system of this config."""
        return ResNetClassifier(self)


class ResNetClassifier(ResNetEncoder):
    """The encoder, trained to classify."""

    Config: ClassVar = ResNetClassifierConfig
    config: ResNetClassifierConfig
    loss_weights: ClassVar = {"classes": 1.0}

    def __init__(self, config: ResNetClassifierConfig) -> None:
        super().__init__(config)
        self.class_names = config.class_names
        self.classifier = Linear(self.net.width, config.num_classes)

    def classify(self, encoded: Encoded) -> Float[Tensor, "B K"]:
        """Logits `[B num_classes]`."""
        return self.classifier(encoded.pooled)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of the classes."""
        logits = self.classify(self.encode_images(batch))
        return Step({"classes": F.cross_entropy(logits, batch.targets.labels)})
