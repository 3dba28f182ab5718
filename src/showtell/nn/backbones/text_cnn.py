"""A residual network for lines of drawn text: narrow columns, since letters stand side by side."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.nn.backbones.resnet import Stem, Stride


@dataclass(frozen=True)
class TextShape:
    """Widths of the stem and of the stages behind it."""

    stem_width: int
    widths: tuple[int, int, int]


SHAPES = {
    "text_cnn_mini": TextShape(32, (64, 128, 192)),
    "text_cnn": TextShape(64, (128, 256, 512)),
}


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of each place: how much blank paper is around makes no difference."""

    def forward(self, grid: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """`[B C H W]` to `[B C H W]`; fast where the channels come last in memory."""
        weight, bias = (parameter.to(grid.dtype) for parameter in (self.weight, self.bias))
        places = F.layer_norm(grid.permute(0, 2, 3, 1), self.normalized_shape, weight, bias, self.eps)
        return places.permute(0, 3, 1, 2)


def _convolved(width_in: int, width: int, kernel: int, stride: Stride = 1) -> nn.Sequential:
    convolution = nn.Conv2d(width_in, width, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, ChannelNorm(width))


class TextBlock(nn.Module):
    """A residual block of two 3 x 3 convolutions, each with its norm: `relu(shortcut(x) + f(x))`."""

    def __init__(self, width_in: int, width: int, stride: Stride) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _convolved(width_in, width, 3, stride), nn.ReLU(inplace=True), _convolved(width, width, 3)
        )
        self.shortcut = _convolved(width_in, width, 1, stride)

    def forward(self, grid: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C_out H_out W_out"]:
        """`[B width_in h w]` to `[B width h/stride w/stride]`."""
        return F.relu(self.layers(grid) + self.shortcut(grid), inplace=True)


class TextCNN(nn.Module):
    """Three residual stages behind a strided stem; a cell of the grid is 16 pixels high and 8 wide.

    So a cell holds about a letter of a line whose letters are some 14 pixels high. The last stage halves the
    rows alone, as networks that read lines do: Shi, Bai & Yao 2017, "An end-to-end trainable neural network
    for image-based sequence recognition", table 1. The norms are those of Liu et al. 2022, "A ConvNet for the
    2020s", section 2.6: statistics of a batch would depend on its blank paper.
    """

    stride = (16, 8)

    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        first, second, third = shape.widths
        self.width = third
        self.layers = nn.Sequential(
            _convolved(3, shape.stem_width, 3, 2),
            nn.ReLU(inplace=True),
            TextBlock(shape.stem_width, first, 2),
            TextBlock(first, second, 2),
            TextBlock(second, third, (2, 1)),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B N D"]:
        """Normalised `[B 3 H W]` to the grid `[B N D]`, row by row; `N` is `H/16 * W/8`, rounded up."""
        grid = self.layers(pixels.contiguous(memory_format=torch.channels_last))
        return grid.flatten(2).transpose(1, 2)


def build(name: str, stem: Stem) -> TextCNN:
    """The untrained network of a shape, whatever the stem."""
    return TextCNN(SHAPES[name])
