"""Image towers: a backbone found by name, and several views of an image through one network."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, cast

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from showtell.errors import UsageError
from showtell.nn import backbones
from showtell.nn.backbones.resnet import Stem
from showtell.nn.pixels import IMAGENET_MEAN, IMAGENET_STD, PixelNorm, Pixels
from showtell.protocols import Encoded


def build(backbone: str, stem: Stem) -> nn.Module:
    """An untrained backbone by name, whose stem is for photographs or for images of 32 pixels.

    Every module of `nn/backbones/` offers `SHAPES`, its networks by name, and `build(name, stem)`. A
    network has a `width` D, a `stride`, the pixels per row and per column of its grid, and maps normalised
    pixels `[B 3 H W]` to tokens `[B N D]`, row by row.

    Raises `UsageError` for an unknown name.
    """
    names: list[str] = []
    for found in iter_modules(backbones.__path__):
        module: Any = import_module(f"{backbones.__name__}.{found.name}")
        if backbone in module.SHAPES:
            return module.build(backbone, stem)
        names += module.SHAPES
    raise UsageError(f"there is no backbone {backbone!r}; choose one of {', '.join(names)}")


class ImageTower(nn.Module):
    """A backbone after ImageNet's pixel normalisation.

    Raises `UsageError` for an unknown name.
    """

    def __init__(self, backbone: str, stem: Stem) -> None:
        super().__init__()
        self.net = build(backbone, stem)
        self.width = cast(int, self.net.width)
        self.stride = cast(tuple[int, int], self.net.stride)
        self.pixel_norm = PixelNorm(IMAGENET_MEAN, IMAGENET_STD)

    def normalise(self, pixels: Pixels) -> Float[Tensor, "B 3 H W"]:
        """`[B 3 H W]`, uint8 or float in 0..1, to what the backbone reads.

        Bytes are made views first: an image has the same vector, to the last bit, as bytes and as floats.
        """
        return self.pixel_norm(pixels if pixels.is_floating_point() else pixels.float() / 255)

    def grid(self, pixels: Pixels) -> Float[Tensor, "B N D"]:
        """`[B 3 H W]`, uint8 or float in 0..1, to the grid before pooling, `[B N D]`."""
        return self.net(self.normalise(pixels))

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
    """`[V B ...]` to `[V B D]`, each view in a forward pass of its own or, if `joint`, all in one.

    The results differ where batch norm trains: its statistics are those of one view, or of all.
    """
    if joint:
        return net(views.flatten(0, 1)).unflatten(0, views.shape[:2])
    return torch.stack([net(view) for view in views])
