"""Changes of colour and sharpness on a batch of pictures, each picture by its own amount.

Pictures are floats in 0..1, `[B 3 H W]`, and stay so; amounts are `[B]`. On a CPU or a GPU.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in brightness. Source: ITU-R BT.601, as Pillow's `convert("L")`."""


def grey(pictures: Tensor) -> Tensor:
    """Brightness alone, `[B 1 H W]`."""
    red, green, blue = pictures.unbind(1)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)[:, None]


def brightness(pictures: Tensor, factor: Tensor) -> Tensor:
    """Black at 0, unchanged at 1, brighter above, as `PIL.ImageEnhance.Brightness`."""
    return (pictures * factor.view(-1, 1, 1, 1)).clamp_(0, 1)


def contrast(pictures: Tensor, factor: Tensor) -> Tensor:
    """Its mean grey everywhere at 0, unchanged at 1, as `PIL.ImageEnhance.Contrast`."""
    factor = factor.view(-1, 1, 1, 1)
    mean = grey(pictures).mean((1, 2, 3), keepdim=True)
    return (factor * pictures).add_((1 - factor) * mean).clamp_(0, 1)


def saturation(pictures: Tensor, factor: Tensor) -> Tensor:
    """Grey at 0, unchanged at 1, more colourful above, as `PIL.ImageEnhance.Color`."""
    return torch.lerp(grey(pictures), pictures, factor.view(-1, 1, 1, 1)).clamp_(0, 1)


def hue(pictures: Tensor, shift: Tensor) -> Tensor:
    """Turn the colour wheel by `shift`, a share of the whole turn; saturation and value stay.

    With the smallest channel `l` and chroma `c`, the hue in -3..3 is `+-(1 + (g + b - r - l) / c)`, with the
    sign of `g - b`; a channel is then `l + c clamp(2 - |d|, 0, 1)`, `d` its distance on the wheel from red at
    0, green at 2, blue at 4. Nothing branches: a choice by pixel costs thirty additions.
    """
    red, green, blue = pictures.unbind(1)
    low = torch.minimum(torch.minimum(red, green), blue)
    chroma = torch.maximum(torch.maximum(red, green), blue) - low
    place = (green + blue - red - low) / chroma.clamp(min=1e-12) + 1
    turned = place.copysign_(green - blue) + 6 * shift.view(-1, 1, 1)
    changed = torch.empty_like(pictures)
    for channel in range(3):
        distance = turned - 2 * channel
        distance -= (distance / 6).round_().mul_(6)
        changed[:, channel] = (2 - distance.abs_()).clamp_(0, 1).mul_(chroma).add_(low)
    return changed


def solarise(pictures: Tensor) -> Tensor:
    """Invert what is brighter than one half, as `PIL.ImageOps.solarize`."""
    return torch.minimum(pictures, 1 - pictures)


def along(pictures: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """A linear map of each axis, its own for each picture: `rows @ picture @ columns^T` in each channel.

    `pictures [B C H W]`, `rows [B S H]`, `columns [B T W]`; returns `[B C S T]`.
    """
    wide = pictures.flatten(1, 2) @ columns.mT
    return rows[:, None] @ wide.unflatten(1, pictures.shape[1:3])


def blur(pictures: Tensor, sigma: Tensor, largest: float) -> Tensor:
    """Gaussian blur of `sigma` pixels, `largest` at most; the pixels of the edge go on beyond it.

    The bell is cut at 4 `largest`, so nothing that could be seen is missing. A product with the matrix of all
    bells is faster than a convolution, which is made for many channels.
    """
    radius = math.ceil(4 * largest)
    rows, columns = (_bells(sigma, radius, side) for side in pictures.shape[2:])
    return along(pictures, rows, columns).clamp_(0, 1)


def _bells(sigma: Tensor, radius: int, side: int) -> Tensor:
    """`[B side side]`: in each row a Gaussian about its pixel, of sum 1, the rest on the edge."""
    away = torch.arange(-radius, radius + 1, device=sigma.device)
    # The far tail is zero, not denormal: a product with denormals is five times slower.
    bell = F.threshold(torch.exp(-0.5 * (away / sigma[:, None]).square()), 1e-12, 0.0)
    bell /= bell.sum(1, keepdim=True)
    places = (torch.arange(side, device=sigma.device)[:, None] + away).clamp(0, side - 1)
    shape = (len(sigma), *places.shape)
    return bell.new_zeros(len(sigma), side, side).scatter_add_(
        2, places.expand(shape), bell[:, None].expand(shape)
    )
