"""Reconstruction of what was removed from an image: squared error where image and original differ."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor


def removed(seen: Float[Tensor, "B N P"], original: Float[Tensor, "B N P"]) -> Bool[Tensor, "B N"]:
    """The patches in which an image and its original differ."""
    return (seen != original).any(-1)


def removed_pixels(
    prediction: Float[Tensor, "B N P"], original: Float[Tensor, "B N P"], chosen: Bool[Tensor, "B N"]
) -> Float[Tensor, ""]:
    """Mean squared error over the chosen patches, `P` values each; 0 if none is chosen.

    Source: Rust et al. 2023, "Language modelling with pixels", section 2.2, over patches of removed text.
    """
    error = (prediction - original)[chosen].square()
    return error.sum() / max(error.numel(), 1)
