"""The region embedder: what an object detector saw, or a regular pyramid of boxes over a grid.

    r_i = [left, top, right, bottom, width, height, area] in 0..1
    v_i = norm(norm(W f_i) + norm(W' r_i) + type)

Features that come with boxes are regions. Features without boxes are the square grid of an image encoder:
they are averaged, by area, over 1, 4, 9 and 16 boxes that tile the image.
Source: Chen et al. 2020, "UNITER", section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from showtell.data.batch import ImageBatch
from showtell.nn.grid import coarser
from showtell.nn.linear import Linear
from showtell.nn.pool import mean_token
from showtell.protocols import Encoded

LEVELS = (1, 2, 3, 4)
"""Boxes per side of the image, in each level of the pyramid."""


class RegionEmbedder(nn.Module):
    """Features and boxes of regions to tokens."""

    def __init__(self, width: int, feature_width: int, eps: float) -> None:
        super().__init__()
        self.features = Linear(feature_width, width)
        self.features_norm = nn.LayerNorm(width, eps)
        self.places = Linear(7, width)
        self.places_norm = nn.LayerNorm(width, eps)
        self.norm = nn.LayerNorm(width, eps)

    def forward(self, images: ImageBatch, modal: Float[Tensor, " D"]) -> Encoded:
        """`[B N D]`; pooled is their mean. `modal` is the type embedding of images."""
        features, boxes, keep = regions(images)
        tokens = self.features_norm(self.features(features)) + self.places_norm(self.places(place(boxes)))
        tokens = self.norm(tokens + modal)
        return Encoded(tokens, mean_token(tokens, keep, None), keep)


def regions(
    images: ImageBatch,
) -> tuple[Float[Tensor, "B N F"], Float[Tensor, "B N 4"], Bool[Tensor, "B N"] | None]:
    """Features, boxes and which of them are real; a grid is pooled over the boxes of the pyramid.

    Raises `ValueError` for features without boxes that are no square grid.
    """
    features, boxes = images.features, images.boxes
    if boxes is not None:
        return features, boxes.to(features), images.keep
    side = round(features.shape[1] ** 0.5)
    if side**2 != features.shape[1]:
        raise ValueError(f"{features.shape[1]} features are no square grid, and the batch has no boxes")
    pooled = torch.cat([coarser(features, level**2) for level in LEVELS], 1)
    return pooled, pyramid(LEVELS).to(features).expand(len(features), -1, -1), None


def pyramid(levels: Sequence[int]) -> Float[Tensor, "N 4"]:
    """Left, top, right and bottom of boxes that tile the image, row by row, level after level.

    >>> pyramid([1, 2])[:3].tolist()
    [[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.5, 0.5], [0.5, 0.0, 1.0, 0.5]]
    """
    boxes = [
        (column / level, row / level, (column + 1) / level, (row + 1) / level)
        for level in levels
        for row in range(level)
        for column in range(level)
    ]
    return torch.tensor(boxes)


def place(boxes: Float[Tensor, "B N 4"]) -> Float[Tensor, "B N 7"]:
    """Left, top, right, bottom, width, height and area of boxes in 0..1."""
    left, top, right, bottom = boxes.unbind(-1)
    width, height = right - left, bottom - top
    return torch.stack([left, top, right, bottom, width, height, width * height], -1)
