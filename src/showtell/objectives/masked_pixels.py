"""Masked image modelling: which patches or regions are masked, and the loss of their predicted pixels."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def mask_patches(
    count: int, rows: int, columns: int, generator: torch.Generator, ratio: float = 0.6, unit: int = 1
) -> Bool[Tensor, "{count} {rows*columns}"]:
    """Which patches are masked, `bool [count rows*columns]`: the same number in each image.

    Squares of `unit` by `unit` patches are masked as one, `ceil(ratio * squares)` of them; `unit` must divide
    `rows` and `columns`. The paper's squares are 32 pixels wide, so `unit` is 2 for patches of 16 pixels.

    Source: Xie et al. 2022, "SimMIM", section 3.2.

    >>> mask_patches(5, 6, 6, torch.Generator().manual_seed(0)).sum(1).tolist()
    [22, 22, 22, 22, 22]
    """
    if rows % unit or columns % unit:
        raise ValueError(f"squares of {unit} patches do not tile {rows} by {columns} patches")
    high, wide = rows // unit, columns // unit
    num_masked = math.ceil(ratio * high * wide)
    order = torch.rand(count, high * wide, generator=generator, device=generator.device).argsort(1)
    squares = (order < num_masked).view(count, high, wide)
    return squares.repeat_interleave(unit, 1).repeat_interleave(unit, 2).flatten(1)


def mask_some(
    keep: Bool[Tensor, "B N"], rate: float, generator: torch.Generator | None
) -> Bool[Tensor, "B N"]:
    """Which of an image's patches or regions are masked: each with a probability, at least one of each image.

    `keep` is True for those that are no padding.

    Source: Chen et al. 2020, "UNITER", section 3.2: masked region modelling.
    """
    device = keep.device if generator is None else generator.device
    drawn = torch.rand(keep.shape, generator=generator, device=device).to(keep.device)
    drawn = drawn.masked_fill(~keep, torch.inf)
    return keep & (drawn <= drawn.min(1, keepdim=True).values.clamp(min=rate))


def masked_pixels(
    prediction: Float[Tensor, "B N P"], target: Float[Tensor, "B N P"], masked: Bool[Tensor, "B N"]
) -> Float[Tensor, ""]:
    """Mean absolute error over the masked patches.

    `prediction`, `target [B N P]` with `P` values per patch, `masked bool [B N]`, at least one True.

    Source: Xie et al. 2022, "SimMIM", equation 1.
    """
    return (prediction - target)[masked].abs().mean()


def normalise_patches(patches: Float[Tensor, "B N P"]) -> Float[Tensor, "B N P"]:
    """Each patch minus its mean, over its standard deviation: shape remains, colour and light do not.

    The variance gets 0.01 added, so that the noise of a uniform patch is not amplified.

    Source: He et al. 2022, "Masked autoencoders are scalable vision learners", section 3.
    """
    variance, mean = torch.var_mean(patches, -1, keepdim=True)
    return (patches - mean) / (variance + 0.01).sqrt()
