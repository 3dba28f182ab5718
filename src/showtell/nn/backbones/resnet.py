"""Residual networks (ResNet), for photographs and for images of 32 pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Stem = Literal["imagenet", "cifar"]
Stride = int | tuple[int, int]
"""Of rows and columns alike, or of each."""


@dataclass(frozen=True)
class ResNetShape:
    """Depth and width of each stage, and the kind of block."""

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    bottleneck: bool
    stem_width: int = 64


# Source: He et al. 2016, "Deep residual learning", table 1; mini is resnet18 at half its width.
SHAPES = {
    "resnet_mini": ResNetShape((2, 2, 2, 2), (32, 64, 128, 256), bottleneck=False, stem_width=32),
    "resnet18": ResNetShape((2, 2, 2, 2), (64, 128, 256, 512), bottleneck=False),
    "resnet34": ResNetShape((3, 4, 6, 3), (64, 128, 256, 512), bottleneck=False),
    "resnet50": ResNetShape((3, 4, 6, 3), (256, 512, 1024, 2048), bottleneck=True),
}


class ConvNorm(nn.Sequential):
    """Convolution, batch norm and, if `relu`, ReLU."""

    def __init__(self, width_in: int, width: int, kernel: int, stride: Stride = 1, relu: bool = True) -> None:
        layers = [
            nn.Conv2d(width_in, width, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(width),
            *([nn.ReLU(inplace=True)] if relu else []),
        ]
        super().__init__(*layers)


class ResidualBlock(nn.Module):
    """`relu(x + f(x))`, `f` two 3 x 3 convolutions or, in a bottleneck, 1 x 1, 3 x 3, 1 x 1.

    A bottleneck has its stride in the 3 x 3 convolution (ResNet "v1.5").
    Source: He et al. 2016, figures 2 and 5.
    """

    def __init__(self, width_in: int, width: int, stride: Stride, bottleneck: bool) -> None:
        super().__init__()
        if bottleneck:
            down = width // 4
            self.layers = nn.Sequential(
                ConvNorm(width_in, down, 1),
                ConvNorm(down, down, 3, stride),
                ConvNorm(down, width, 1, relu=False),
            )
        else:
            self.layers = nn.Sequential(
                ConvNorm(width_in, width, 3, stride), ConvNorm(width, width, 3, relu=False)
            )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or width_in != width:
            self.shortcut = ConvNorm(width_in, width, 1, stride, relu=False)

    def forward(self, grid: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C_out H_out W_out"]:
        """`[B width_in h w]` to `[B width h/stride w/stride]`."""
        return F.relu(self.layers(grid) + self.shortcut(grid), inplace=True)


class ResNet(nn.Module):
    """Stem and stages, without pooling and classifier.

    The ImageNet stem (7 x 7 with stride 2, then 3 x 3 max pooling) divides each side by 4 before the first
    stage; the CIFAR stem (3 x 3) keeps the detail of small images.
    Source: He et al. 2016; the CIFAR stem is that of SimCLR (Chen et al. 2020, appendix B.9).
    """

    def __init__(self, shape: ResNetShape, stem: Stem = "imagenet") -> None:
        super().__init__()
        self.width = shape.widths[-1]
        self.stride = (2 ** (len(shape.widths) + (1 if stem == "imagenet" else -1)),) * 2
        if stem == "imagenet":
            self.stem = nn.Sequential(ConvNorm(3, shape.stem_width, 7, 2), nn.MaxPool2d(3, 2, 1))
        else:
            self.stem = nn.Sequential(ConvNorm(3, shape.stem_width, 3))
        self.stages = nn.Sequential()
        width_in = shape.stem_width
        for stage, (depth, width) in enumerate(zip(shape.depths, shape.widths, strict=True)):
            blocks = []
            for block in range(depth):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(ResidualBlock(width_in, width, stride, shape.bottleneck))
                width_in = width
            self.stages.append(nn.Sequential(*blocks))
        self._initialise()

    def _initialise(self) -> None:
        """Each block starts as the identity: the gain of its last batch norm is zero.

        Source: He et al. 2015, "Delving deep into rectifiers"; Goyal et al. 2017, section 5.1.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for module in self.modules():
            if isinstance(module, ResidualBlock):
                nn.init.zeros_(module.layers[-1].get_parameter("1.weight"))

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B N D"]:
        """Normalised `[B 3 H W]` to the grid before pooling, `[B N D]`.

        `N` is `H/32 * W/32` after the ImageNet stem, `H/8 * W/8` after the CIFAR stem.
        """
        # Channels last, which every layer keeps: convolutions on a CPU then need not reorder.
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        return self.stages(self.stem(pixels)).flatten(2).transpose(1, 2)


def build(name: str, stem: Stem) -> ResNet:
    """The untrained network of a shape."""
    return ResNet(SHAPES[name], stem)
