"""Rotary position embedding: queries and keys are turned by angles that grow with their position."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Rotation(NamedTuple):
    """The angles of each token, `d / 2` of them for heads of width `d`."""

    cos: Float[Tensor, "B 1 N d/2"]
    sin: Float[Tensor, "B 1 N d/2"]


def rotation(positions: Int[Tensor, "B N"], width: int, theta: float) -> Rotation:
    """The angles `t theta^(-2i / width)` of tokens at positions `t`, for heads of an even `width`.

    Source: Su et al. 2021, "RoFormer", section 3.2.2.
    """
    frequencies = theta ** -(torch.arange(0, width, 2, device=positions.device).float() / width)
    angles = positions[:, None, :, None].float() * frequencies
    return Rotation(angles.cos(), angles.sin())


def rotate(x: Float[Tensor, "B H N d"], rotation: Rotation) -> Float[Tensor, "B H N d"]:
    """Channels `i` and `i + d/2` of each head turned, as one complex number, by the token's angle `i`.

    So the product of a query and a key depends on their positions through the distance alone.
    """
    cos, sin = rotation.cos.to(x.dtype), rotation.sin.to(x.dtype)
    real, imaginary = x.chunk(2, -1)
    return torch.cat([real * cos - imaginary * sin, imaginary * cos + real * sin], -1)
