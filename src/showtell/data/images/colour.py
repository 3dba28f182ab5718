"""Colour changes and blur of a batch of images, each image by its own amount.

Images are floats in 0..1, `[B 3 H W]`; amounts are `[B]`. Brightness, contrast, saturation, hue and solarise
work in place, as allocation costs more than the arithmetic.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in luma. Source: ITU-R BT.601, as Pillow's `convert("L")`."""


def grey(images: Tensor) -> Tensor:
    """Luma, `[B 1 H W]`."""
    return (images.new_tensor(LUMA) @ images.flatten(2)).view(-1, 1, *images.shape[2:])


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Black at factor 0, unchanged at 1, brighter above, as `PIL.ImageEnhance.Brightness`."""
    return images.mul_(factor.view(-1, 1, 1, 1)).clamp_(0, 1)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """The mean grey at factor 0, unchanged at 1, as `PIL.ImageEnhance.Contrast`."""
    return _from(grey(images.mean((2, 3), keepdim=True)), images, factor)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Grey at factor 0, unchanged at 1, more colourful above, as `PIL.ImageEnhance.Color`."""
    return _from(grey(images), images, factor)


def _from(start: Tensor, images: Tensor, factor: Tensor) -> Tensor:
    """Interpolation from `start` at factor 0 to the images at 1, extrapolated beyond."""
    factor = factor.view(-1, 1, 1, 1)
    return images.mul_(factor).add_(start.mul_(1 - factor)).clamp_(0, 1)


def hue(images: Tensor, shift: Tensor) -> Tensor:
    """Rotate the hue by `shift` full turns; saturation and value stay.

    With the smallest channel `l` and chroma `c`, the hue in -3..3 is `+-(1 + (g + b - r - l) / c)`, with the
    sign of `g - b`. A channel is then `l + c (clamp(||d| - 3|, 1, 2) - 1)`, `d` its difference from red at 0,
    green at 2, blue at -2. Branch-free: a choice per pixel costs as much as thirty additions.
    """
    red, green, blue = images.split(1, 1)
    low = torch.minimum(torch.minimum(red, green), blue)
    chroma = torch.maximum(torch.maximum(red, green), blue).sub_(low)
    place = (green + blue).sub_(red).sub_(low).div_(chroma.clamp(min=1e-12)).add_(1).copysign_(green - blue)
    place += 6 * shift.view(-1, 1, 1, 1)
    place -= (place / 6).round_().mul_(6)
    torch.add(place, place.new_tensor([0.0, -2.0, 2.0]).view(3, 1, 1), out=images)
    images.abs_().sub_(3).abs_().clamp_(1, 2)
    return torch.addcmul(low.sub_(chroma), images, chroma, out=images)


def solarise(images: Tensor) -> Tensor:
    """Invert pixels brighter than one half, as `PIL.ImageOps.solarize`."""
    return torch.minimum(images, 1 - images, out=images)


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur of `sigma` pixels, with the border replicated.

    The kernel is truncated at 3 `sigma`, which changes a pixel by less than 1 / 255 per axis. Shifted images
    are added up, which for three channels is faster than a convolution.
    """
    radius = math.ceil(3 * float(sigma.max()))
    away = torch.arange(-radius, radius + 1, device=sigma.device).view(-1, 1, 1, 1, 1)
    bell = torch.exp(-0.5 * (away / sigma.view(-1, 1, 1, 1)).square())
    bell *= away.abs() <= 3 * sigma.view(-1, 1, 1, 1)
    bell /= bell.sum(0)
    for axis in (2, 3):
        side, before = images.shape[axis], (radius, radius)
        longer = F.pad(images, (0, 0, *before) if axis == 2 else (*before, 0, 0), mode="replicate")
        images = longer.narrow(axis, radius, side) * bell[radius]
        for place, weight in enumerate(bell):
            if place != radius:
                images.addcmul_(longer.narrow(axis, place, side), weight)
    return images.clamp_(0, 1)
