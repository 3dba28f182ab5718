"""A residual network for lines of drawn text: narrow columns, since letters stand side by side."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from showtell.nn.backbones.resnet import ConvNorm, ResidualBlock, Stem


@dataclass(frozen=True)
class TextShape:
    """Widths of the stem and of the stages behind it."""

    stem_width: int
    widths: tuple[int, int, int]


SHAPES = {
    "text_cnn_mini": TextShape(32, (64, 128, 192)),
    "text_cnn": TextShape(64, (128, 256, 512)),
}


class TextCNN(nn.Module):
    """Three residual stages behind a strided stem; a cell of the grid is 16 pixels high and 8 wide.

    So a cell holds about a letter of a line whose letters are some 14 pixels high. The last stage halves the
    rows alone, as networks that read lines do: Shi, Bai & Yao 2017, "An end-to-end trainable neural network
    for image-based sequence recognition", table 1.
    """

    stride = (16, 8)

    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        first, second, third = shape.widths
        self.width = third
        self.layers = nn.Sequential(
            ConvNorm(3, shape.stem_width, 3, 2),
            ResidualBlock(shape.stem_width, first, 2, bottleneck=False),
            ResidualBlock(first, second, 2, bottleneck=False),
            ResidualBlock(second, third, (2, 1), bottleneck=False),
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
