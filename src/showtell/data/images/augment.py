"""Random augmentations of a batch of images, as of SimCLR, BYOL, SimSiam and SimMIM.

Each image has its own random parameters, drawn on the generator's device; the same seed gives the same views.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from showtell.data.images.distort import Drawn, change_all, change_one

Filter = Literal["bilinear", "bicubic"]
TRIES = 10
LARGE = 64
"""Pixels per side from which views are augmented one by one."""


@dataclass(frozen=True)
class Augmentation:
    """The augmentations of one view, in this order. The defaults are SimCLR's on ImageNet, strength 1.

    Source: Chen et al. 2020, "SimCLR", appendix A.
    """

    size: int = 224
    """Pixels per side of a view."""
    area: tuple[float, float] = (0.08, 1.0)
    """The range of a crop's share of the image."""
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """The range of a crop's width divided by its height."""
    filter: Filter = "bicubic"
    flip: float = 0.5
    """A probability, as `jitter`, `grey`, `blur` and `solarise` are."""
    jitter: float = 0.8
    """Colour jitter: the four changes below in random order."""
    brightness: float = 0.8
    """The factor is in `1 - x .. 1 + x`, as for `contrast` and `saturation`."""
    contrast: float = 0.8
    saturation: float = 0.8
    hue: float = 0.2
    """The rotation is in `-x .. x`, in full turns."""
    grey: float = 0.2
    blur: float = 0.5
    sigma: tuple[float, float] = (0.1, 2.0)
    """The range of the blur's standard deviation in pixels."""
    solarise: float = 0.0


Views = tuple[Augmentation, ...]
"""The augmentation of each view of an image."""

SIMCLR: Views = (Augmentation(), Augmentation())
# Strength 0.5 and no blur. Source: Chen et al. 2020, appendix B.9.
_SIMCLR_CIFAR = Augmentation(32, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, blur=0.0)
SIMCLR_CIFAR: Views = (_SIMCLR_CIFAR, _SIMCLR_CIFAR)
# Source: Grill et al. 2020, "Bootstrap your own latent", appendix B, table 6.
_BYOL = Augmentation(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1)
BYOL: Views = (replace(_BYOL, blur=1.0), replace(_BYOL, blur=0.1, solarise=0.2))
# Ours: no blur at 32 pixels.
_BYOL_CIFAR = replace(_BYOL, size=32, blur=0.0)
BYOL_CIFAR: Views = (_BYOL_CIFAR, replace(_BYOL_CIFAR, solarise=0.2))
# Source: Chen & He 2021, "Exploring simple siamese representation learning", section 3, appendices A and D.
_SIMSIAM = Augmentation(
    area=(0.2, 1.0), filter="bilinear", brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1
)
SIMSIAM: Views = (_SIMSIAM, _SIMSIAM)
_SIMSIAM_CIFAR = replace(_SIMSIAM, size=32, blur=0.0)
SIMSIAM_CIFAR: Views = (_SIMSIAM_CIFAR, _SIMSIAM_CIFAR)
# Source: Xie et al. 2022, "SimMIM", section 4.1.1.
SIMMIM: Views = (Augmentation(area=(0.67, 1.0), jitter=0.0, grey=0.0, blur=0.0),)


def draw_views(pixels: Tensor, views: Views, generator: torch.Generator) -> Tensor:
    """Augmented views of each image: `uint8 [B 3 H W]` to `float32 [V B 3 S S]` in 0..1."""
    side = views[0].size
    out = torch.empty(len(views), len(pixels), 3, side, side, device=pixels.device)
    for to, room in zip(views, out, strict=True):
        augment(pixels, to, generator, room)
    return out


def augment(
    pixels: Tensor, to: Augmentation, generator: torch.Generator, out: Tensor | None = None
) -> Tensor:
    """One view of each image: `uint8 [B 3 H W]` to `float32 [B 3 S S]` in 0..1, written to `out` if given.

    >>> pixels = torch.zeros(4, 3, 40, 60, dtype=torch.uint8)
    >>> augment(pixels, SIMSIAM_CIFAR[0], torch.Generator().manual_seed(0)).shape
    torch.Size([4, 3, 32, 32])
    """
    count, _, height, width = pixels.shape

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator, device=generator.device)

    boxes = crop_boxes(count, height, width, to, generator)
    mirrored = uniform(0, 1) < to.flip
    jittered = uniform(0, 1) < to.jitter
    amounts = torch.stack(
        [
            uniform(max(0.0, 1 - to.brightness), 1 + to.brightness),
            uniform(max(0.0, 1 - to.contrast), 1 + to.contrast),
            uniform(max(0.0, 1 - to.saturation), 1 + to.saturation),
            uniform(-to.hue, to.hue),
        ],
        1,
    )
    order = torch.rand(amounts.shape, generator=generator, device=generator.device).argsort(1)
    # For each image the index of its colour change at each turn, or -1.
    turns = torch.where(jittered[:, None], order, -1)
    greyed, sigma = uniform(0, 1) < to.grey, uniform(*to.sigma)
    blurred, solarised = uniform(0, 1) < to.blur, uniform(0, 1) < to.solarise
    drawn = Drawn(mirrored, turns, amounts, greyed, blurred, sigma, solarised)
    views = pixels.new_empty(count, 3, to.size, to.size, dtype=torch.float32) if out is None else out
    if pixels.device.type != "cpu":
        views[:] = change_all(_cut(pixels, boxes, to) / 255, drawn)
    elif to.size >= LARGE:
        for i, cut in enumerate(_cut_each(pixels, boxes, to)):  # one view stays in the processor's cache
            one = slice(i, i + 1)
            views[one] = change_one(cut / 255, Drawn(*(some[one] for some in drawn)))
    elif count:
        views[:] = change_all(torch.cat(list(_cut_each(pixels, boxes, to))) / 255, drawn)
    return views


def random_crops(pixels: Tensor, area: tuple[float, float], seed: tuple[int, ...]) -> Tensor:
    """Training crops: a share in `area` of each of `uint8 [B 3 S S]`, resized, flipped half the time."""
    cut = Augmentation(pixels.shape[-1], area, filter="bilinear", jitter=0.0, grey=0.0, blur=0.0)
    return (augment(pixels, cut, seeded(seed, pixels.device)) * 255).round().byte()


def seeded(seed: tuple[int, ...], device: torch.device | str) -> torch.Generator:
    """A generator for one batch, which any thread may make in any order."""
    (drawn,) = np.random.SeedSequence(seed).generate_state(1, np.uint64).tolist()
    return torch.Generator(device).manual_seed(drawn)


def _cut_each(pixels: Tensor, boxes: Tensor, to: Augmentation) -> Iterator[Tensor]:
    """The crop of each image, resized in bytes, `uint8 [1 3 S S]`: fastest on a CPU."""
    for image, (top, left, height, width) in zip(pixels.split(1), boxes.T.int().tolist(), strict=True):
        box = image[:, :, top : top + height, left : left + width]
        yield F.interpolate(box, (to.size, to.size), mode=to.filter, antialias=True)


def _cut(pixels: Tensor, boxes: Tensor, to: Augmentation) -> Tensor:
    """The crops of all images, resized by two matrix products, as floats in 0..255."""
    tops, lefts, heights, widths = boxes
    rows = resampling(tops, heights, pixels.shape[2], to.size, to.filter)
    columns = resampling(lefts, widths, pixels.shape[3], to.size, to.filter)
    wide = pixels.float().flatten(1, 2) @ columns.mT
    return (rows[:, None] @ wide.unflatten(1, pixels.shape[1:3])).clamp_(0, 255)


def crop_boxes(count: int, height: int, width: int, to: Augmentation, generator: torch.Generator) -> Tensor:
    """Random crops: tops, lefts, heights, widths, `[4 B]`, of a random area and aspect ratio.

    The first of ten that fits; if none does, the largest centred one with an allowed ratio.
    Source: Szegedy et al. 2015, "Going deeper with convolutions", section 6.
    """

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)

    area = height * width * uniform(*to.area, count, TRIES)
    ratio = uniform(math.log(to.ratio[0]), math.log(to.ratio[1]), count, TRIES).exp()
    widths, heights = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
    fits = (widths >= 1) & (heights >= 1) & (widths <= width) & (heights <= height)
    first = fits.int().argmax(1, keepdim=True)
    shape = min(max(width / height, to.ratio[0]), to.ratio[1])
    widest, highest = min(width, round(height * shape)), min(height, round(width / shape))
    any_fits = fits.any(1)
    widths = torch.where(any_fits, widths.gather(1, first)[:, 0], float(widest))
    heights = torch.where(any_fits, heights.gather(1, first)[:, 0], float(highest))
    corner = torch.where(any_fits, uniform(0, 1, 2, count), 0.5)
    tops = (corner[0] * (height - heights + 1)).floor()
    lefts = (corner[1] * (width - widths + 1)).floor()
    return torch.stack([tops, lefts, heights, widths])


def resampling(start: Tensor, length: Tensor, size_in: int, size_out: int, filter: Filter) -> Tensor:
    """Matrices `[B size_out size_in]` that crop `length` pixels from `start` and resize them.

    Antialiased as `PIL.Image.resize`: when shrinking, the filter covers the area of a new pixel.
    """
    device = start.device
    start, length = start.view(-1, 1, 1), length.view(-1, 1, 1)
    scale = length / size_out
    centre = start + (torch.arange(size_out, device=device)[:, None] + 0.5) * scale
    pixel = torch.arange(size_in, device=device) + 0.5
    x = ((pixel - centre) / scale.clamp(min=1)).abs()
    if filter == "bilinear":
        weights = (1 - x).clamp_(min=0)
    else:  # Source: Keys 1981, with a = -1/2
        near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
        weights = torch.where(x < 1, near, torch.where(x < 2, far, 0.0))
    weights = weights * ((pixel > start) & (pixel < start + length))
    return weights / weights.sum(-1, keepdim=True)
