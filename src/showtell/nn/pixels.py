"""Pixel normalisation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

Pixels = Float[Tensor, "B 3 H W"] | UInt8[Tensor, "B 3 H W"]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class PixelNorm(nn.Module):
    """`(x - mean) / std` per channel, of pixels in 0..1 or, divided by 255, of bytes."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, pixels: Pixels) -> Float[Tensor, "B 3 H W"]:
        """`[B 3 H W]`, uint8 or float in 0..1, to what the network reads, in the network's type."""
        values = pixels.to(self.mean.dtype)
        if pixels.is_floating_point():
            return (values - self.mean) / self.std
        # The division by 255 goes into the constants: two passes over the pixels instead of three. In float32
        # the last bit may differ from that of `pixels / 255` normalised.
        return (values - self.mean * 255).mul_(1 / (self.std * 255))
