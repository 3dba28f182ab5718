"""An image tower: pixels in, one vector an image out; and several views of an image through one net."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor, nn

from showtell.errors import UsageError
from showtell.nn.backbones import resnet
from showtell.nn.backbones import vit as vision_transformer
from showtell.nn.backbones.efficientnet import EfficientNetLite0
from showtell.nn.backbones.resnet import ResNet, Stem
from showtell.nn.backbones.vit import VisionTransformer
from showtell.protocols import Encoded

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PATCH_SIZE = {"imagenet": 16, "cifar": 4}
"""Of a transformer, by its stem."""

Pixels = Float[Tensor, "B 3 H W"] | UInt8[Tensor, "B 3 H W"]


def build(backbone: str, stem: Stem) -> ResNet | VisionTransformer | EfficientNetLite0:
    """An untrained network by name, whose stem is for photographs or for images of 32 pixels.

    Raises `UsageError` for a name that is none.
    """
    if backbone in resnet.SHAPES:
        return ResNet(resnet.SHAPES[backbone], stem)
    if backbone in vision_transformer.SHAPES:
        return VisionTransformer(vision_transformer.SHAPES[backbone], PATCH_SIZE[stem])
    if backbone == "efficientnet_lite0":
        net = EfficientNetLite0(stem_stride=2 if stem == "imagenet" else 1)
        del net.classifier
        return net
    names = [*resnet.SHAPES, *vision_transformer.SHAPES, "efficientnet_lite0"]
    raise UsageError(f"no backbone is called {backbone!r}; choose one of {', '.join(names)}")


class ImageTower(nn.Module):
    """A network of `build` behind ImageNet's normalisation.

    Raises `UsageError` for a name that is none.
    """

    def __init__(self, backbone: str, stem: Stem) -> None:
        super().__init__()
        self.net = build(backbone, stem)
        self.width = self.net.width
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)

    def normalise(self, pixels: Pixels) -> Float[Tensor, "B 3 H W"]:
        """`[B 3 H W]`, uint8 or floats in 0..1, to what the network reads."""
        values = pixels if pixels.is_floating_point() else pixels.float() / 255
        return (values - self.mean) / self.std

    def grid(self, pixels: Pixels) -> Float[Tensor, "B N D"]:
        """`[B 3 H W]`, uint8 or floats in 0..1, to the grid before pooling, `[B N D]`."""
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
    """`[V B ...]` to `[V B D]`: each view on its own, or `joint`, all in one pass.

    The results differ where batch norm trains: its statistics are those of one view, or of all.
    """
    if joint:
        return net(views.flatten(0, 1)).unflatten(0, views.shape[:2])
    return torch.stack([net(view) for view in views])
