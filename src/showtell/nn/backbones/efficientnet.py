"""EfficientNet-Lite, a family of convolutional backbones: Lite0, and wider and deeper ones."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.nn.backbones.resnet import Stem
from showtell.nn.linear import Linear

# (depth, kernel, stride, expansion, width) of each stage.
# Source: Tan & Le 2019, "EfficientNet", table 1, with the stem and head of the B0 width.
B0_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding: the odd pixel goes right and below.

    The lite weights were trained with it. Even padding shifts every strided grid by a pixel: the mean
    top-1 probability over 256 photographs falls from 0.36 to 0.31.
    """

    def forward(self, grid: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C_out H_out W_out"]:
        """`[B C H W]` to `[B C' ceil(H/stride) ceil(W/stride)]`."""
        pads = []
        for size, kernel, stride in zip(
            grid.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True
        ):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(grid, pads))


class InvertedResidual(nn.Module):
    """1 x 1 expansion, depthwise convolution, 1 x 1 projection; residual where the shapes agree.

    Source: Sandler et al. 2018, "MobileNetV2", section 3.3.
    """

    def __init__(self, width_in: int, width: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = width_in * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [
                nn.Conv2d(width_in, hidden, 1, bias=False),
                nn.BatchNorm2d(hidden, eps=1e-3),
                nn.ReLU6(),
            ]
        layers += [
            SameConv2d(hidden, hidden, kernel, stride, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden, eps=1e-3),
            nn.ReLU6(),
            nn.Conv2d(hidden, width, 1, bias=False),
            nn.BatchNorm2d(width, eps=1e-3),
        ]
        self.layers = nn.Sequential(*layers)
        self.adds_input = stride == 1 and width_in == width

    def forward(self, grid: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C_out H_out W_out"]:
        """`[B width_in h w]` to `[B width h/stride w/stride]`."""
        out = self.layers(grid)
        return grid + out if self.adds_input else out


class EfficientNetLite(nn.Module):
    """EfficientNet-B0 without squeeze-and-excitation, with ReLU6 for Swish, `width` times as wide and `depth`
    times as deep: (1.0, 1.0) is Lite0, (1.1, 1.2) Lite2.

    The stem, the head, and the depth of the first and the last stage are never scaled.
    Source: Tan & Le 2019, and the "lite" variants of the TensorFlow TPU repository (2020).
    """

    width = 1280
    num_classes = 1000

    def __init__(self, width: float = 1.0, depth: float = 1.0, stem_stride: int = 2) -> None:
        super().__init__()
        self.stride = (16 * stem_stride,) * 2
        self.stem = nn.Sequential(
            SameConv2d(3, 32, 3, stem_stride, bias=False), nn.BatchNorm2d(32, eps=1e-3), nn.ReLU6()
        )
        blocks: list[nn.Module] = []
        width_in = 32
        for repeats, kernel, stride, expansion, width_out in scaled(width, depth):
            for index in range(repeats):
                blocks.append(
                    InvertedResidual(width_in, width_out, kernel, stride if index == 0 else 1, expansion)
                )
                width_in = width_out
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(
            nn.Conv2d(width_in, self.width, 1, bias=False),
            nn.BatchNorm2d(self.width, eps=1e-3),
            nn.ReLU6(),
        )
        self.classifier = Linear(self.width, self.num_classes)

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B N 1280"]:
        """Normalised `[B 3 H W]` to the grid before pooling, `[B N 1280]`; `N` is `H/32 * W/32`."""
        return self.head(self.blocks(self.stem(pixels))).flatten(2).transpose(1, 2)

    def classify(self, pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 1000"]:
        """ImageNet logits, `[B 1000]`."""
        return self.classifier(self(pixels).mean(1))


def scaled(width: float, depth: float) -> list[tuple[int, int, int, int, int]]:
    """`B0_STAGES`, scaled: widths are multiples of 8, and none falls by more than a tenth.

    >>> [stage[-1] for stage in scaled(1.1, 1.2)], [stage[0] for stage in scaled(1.1, 1.2)]
    ([16, 24, 48, 88, 120, 208, 352], [1, 3, 3, 4, 4, 5, 1])
    """
    stages = []
    for place, (repeats, kernel, stride, expansion, channels) in enumerate(B0_STAGES):
        eights = max(8, int(channels * width + 4) // 8 * 8)
        eights += 8 * (eights < 0.9 * channels * width)
        outer = place in (0, len(B0_STAGES) - 1)
        stages.append((repeats if outer else math.ceil(repeats * depth), kernel, stride, expansion, eights))
    return stages


SHAPES = {"efficientnet_lite0": (1.0, 1.0), "efficientnet_lite2": (1.1, 1.2)}
"""Width and depth."""


def build(name: str, stem: Stem) -> EfficientNetLite:
    """The untrained network without its classifier."""
    if name not in SHAPES:
        raise KeyError(name)
    net = EfficientNetLite(*SHAPES[name], 2 if stem == "imagenet" else 1)
    del net.classifier
    return net
