"""Patches of pixels without a network, for systems that project them themselves."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.nn.backbones.resnet import Stem

SHAPES = {"patches_mini": (4, 4), "patches_8": (8, 8), "patches_16": (16, 16), "patches_32": (32, 32)}
SHAPES |= {"patches_16x8": (16, 8)}
"""Rows and columns of pixels per patch."""


class Patches(nn.Module):
    """The pixels of each patch as they are: a linear layer behind it makes a ViT's patch embedding.

    Source: Dosovitskiy et al. 2021, equation 1.
    """

    def __init__(self, stride: tuple[int, int]) -> None:
        super().__init__()
        self.stride = stride
        self.width = 3 * stride[0] * stride[1]

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B N D"]:
        """Normalised `[B 3 H W]` to `[B N 3*rows*columns]`; what an incomplete patch lacks is zero."""
        return cut(pixels, self.stride)


def cut(pixels: Float[Tensor, "B C H W"], stride: tuple[int, int]) -> Float[Tensor, "B N P"]:
    """The pixels of each patch, channels first, the last patches of a row or column filled with zeros."""
    rows, columns = (-(-side // step) for side, step in zip(pixels.shape[2:], stride, strict=True))
    below, right = rows * stride[0] - pixels.shape[2], columns * stride[1] - pixels.shape[3]
    whole = F.pad(pixels, (0, right, 0, below))
    patches = whole.unflatten(3, (columns, -1)).unflatten(2, (rows, -1)).permute(0, 2, 4, 1, 3, 5)
    return patches.flatten(3).flatten(1, 2)


def joined(
    patches: Float[Tensor, "B N P"], stride: tuple[int, int], sides: tuple[int, int]
) -> Float[Tensor, "B C H W"]:
    """The image, of height and width `sides`, that `cut` cut.

    >>> import torch
    >>> image = torch.arange(60.0).view(1, 3, 4, 5)
    >>> torch.equal(joined(cut(image, (2, 3)), (2, 3), (4, 5)), image)
    True
    """
    grid = [-(-side // step) for side, step in zip(sides, stride, strict=True)]
    cells = patches.unflatten(1, grid).unflatten(3, (-1, *stride))
    return cells.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)[..., : sides[0], : sides[1]]


def build(name: str, stem: Stem) -> Patches:
    """The patches of a size, whatever the stem."""
    return Patches(SHAPES[name])
