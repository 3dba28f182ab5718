"""A picture tower: pixels in, one vector a picture out; and several views of a picture through one net."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor, nn

from showtell.errors import UsageError
from showtell.nn.resnet import SHAPES, ResNet, Stem
from showtell.protocols import Encoded

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Pixels = Float[Tensor, "B 3 H W"] | UInt8[Tensor, "B 3 H W"]


class PictureTower(nn.Module):
    """A ResNet behind ImageNet's normalisation.

    Raises `UsageError` for a name that is not in `nn.resnet.SHAPES`.
    """

    def __init__(self, backbone: str, stem: Stem) -> None:
        super().__init__()
        if backbone not in SHAPES:
            raise UsageError(f"no backbone is called {backbone!r}; choose one of {', '.join(SHAPES)}")
        self.net = ResNet(SHAPES[backbone], stem)
        self.width = self.net.width
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)

    def grid(self, pixels: Pixels) -> Float[Tensor, "B N D"]:
        """`[B 3 H W]`, uint8 or floats in 0..1, to the grid before pooling, `[B N D]`."""
        values = pixels if pixels.is_floating_point() else pixels.float() / 255
        return self.net((values - self.mean) / self.std)

    def forward(self, pixels: Pixels) -> Float[Tensor, "B D"]:
        """`[B 3 H W]` to the mean of the grid, `[B D]`."""
        return self.grid(pixels).mean(1)

    def encode(self, pixels: Pixels) -> Encoded:
        """`[B 3 H W]` to the grid and its mean."""
        tokens = self.grid(pixels)
        return Encoded(tokens=tokens, pooled=tokens.mean(1))


def each_view(
    net: Callable[[Tensor], Tensor], views: Shaped[Tensor, "V B *rest"], joint: bool
) -> Float[Tensor, "V B D"]:
    """`[V B ...]` to `[V B D]`: each view on its own, or `joint`, all in one pass.

    The results differ where batch norm trains: its statistics are those of one view, or of all.
    """
    if joint:
        return net(views.flatten(0, 1)).unflatten(0, views.shape[:2])
    return torch.stack([net(view) for view in views])
