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


def _blend(ground: Tensor | float, pictures: Tensor, factor: Tensor) -> Tensor:
    factor = factor.view(-1, 1, 1, 1)
    return (factor * pictures + (1 - factor) * ground).clamp_(0, 1)


def brightness(pictures: Tensor, factor: Tensor) -> Tensor:
    """Black at 0, unchanged at 1, brighter above, as `PIL.ImageEnhance.Brightness`."""
    return _blend(0.0, pictures, factor)


def contrast(pictures: Tensor, factor: Tensor) -> Tensor:
    """Its mean grey everywhere at 0, unchanged at 1, as `PIL.ImageEnhance.Contrast`."""
    return _blend(grey(pictures).mean((1, 2, 3), keepdim=True), pictures, factor)


def saturation(pictures: Tensor, factor: Tensor) -> Tensor:
    """Grey at 0, unchanged at 1, more colourful above, as `PIL.ImageEnhance.Color`."""
    return _blend(grey(pictures), pictures, factor)


def hue(pictures: Tensor, shift: Tensor) -> Tensor:
    """Turn the colour wheel by `shift`, a share of the whole turn; saturation and value stay.

    RGB to HSV and back in one go: with hue `h` in 0..6, value `v` and chroma `c`, a channel is
    `v - c clamp(min(k, 4 - k), 0, 1)`, `k = (n + h) mod 6`, `n = 5, 3, 1` for red, green, blue.
    """
    value, low = pictures.amax(1), pictures.amin(1)
    chroma = value - low
    red, green, blue = pictures.unbind(1)
    sixth = torch.where(
        value == red,
        green - blue,
        torch.where(value == green, blue - red, red - green),
    ) / chroma.clamp(min=1e-12)
    start = torch.where(value == red, 0.0, torch.where(value == green, 2.0, 4.0))
    turned = sixth + start + 6 * shift.view(-1, 1, 1)
    channels = []
    for n in (5, 3, 1):
        k = (turned + n).remainder(6)
        channels.append(value - chroma * torch.minimum(k, 4 - k).clamp_(0, 1))
    return torch.stack(channels, 1)


def solarise(pictures: Tensor) -> Tensor:
    """Invert what is brighter than one half, as `PIL.ImageOps.solarize`."""
    return torch.where(pictures < 0.5, pictures, 1 - pictures)


def along(pictures: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """A linear map of each axis, its own for each picture: `rows @ picture @ columns^T` in each channel.

    `pictures [B C H W]`, `rows [B S H]`, `columns [B T W]`; returns `[B C S T]`.
    """
    count, channels, height, width = pictures.shape
    wide = pictures.reshape(count, channels * height, width) @ columns.mT
    split = (channels, columns.shape[1])
    stacked = wide.view(count, channels, height, split[1]).transpose(1, 2).flatten(2)
    return (rows @ stacked).unflatten(2, split).transpose(1, 2).contiguous()


def blur(pictures: Tensor, sigma: Tensor, largest: float) -> Tensor:
    """Gaussian blur of `sigma` pixels, `largest` at most; the pixels of the edge go on beyond it.

    The bell is cut at 4 `largest`, so nothing that could be seen is missing.
    """
    rows, columns = (_bell(size, sigma, math.ceil(4 * largest)) for size in pictures.shape[2:])
    return along(pictures, rows, columns).clamp_(0, 1)


def _bell(size: int, sigma: Tensor, radius: int) -> Tensor:
    """`[B size size]`: each row a Gaussian about its pixel, what falls outside given to the edge."""
    here = torch.arange(size, device=sigma.device)[:, None]
    there = torch.arange(-radius, size + radius, device=sigma.device)
    # The far tail is zero, not denormal: a product with denormals is five times slower.
    weights = F.threshold(torch.exp(-0.5 * ((there - here) / sigma.view(-1, 1, 1)).square()), 1e-12, 0.0)
    inside = weights[..., radius:-radius].clone()
    inside[..., 0] += weights[..., :radius].sum(-1)
    inside[..., -1] += weights[..., -radius:].sum(-1)
    return inside / inside.sum(-1, keepdim=True)
