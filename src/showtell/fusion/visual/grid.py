"""The grid embedder: the tokens of an image encoder, each projected.

    image -> image encoder -> grid v_1 .. v_N -> some of them -> W v_i + b

The encoder is a network of its own that is trained along, or any frozen one that keeps `ImageEncoder`, whose
features the batch holds.
Source: Huang et al. 2020, "Pixel-BERT", section 3.2 and, for the sampling of pixels, section 3.4.
"""

from __future__ import annotations

import torch
from torch import nn

from showtell.data.batch import ImageBatch
from showtell.nn.backbones.resnet import Stem
from showtell.nn.linear import Linear
from showtell.nn.towers import ImageTower
from showtell.protocols import Encoded


class GridEmbedder(nn.Module):
    """Pixels through a network named `backbone`, or without one the features of a frozen encoder, to tokens.

    In training at most `num_sampled` tokens of each image are read, drawn evenly. No position is added: the
    paper leaves places to the network.
    """

    def __init__(
        self, width: int, *, backbone: str, stem: Stem, feature_width: int, num_sampled: int
    ) -> None:
        super().__init__()
        self.tower = ImageTower(backbone, stem) if backbone else None
        self.project = Linear(self.tower.width if self.tower else feature_width, width)
        self.num_sampled = num_sampled

    def forward(self, images: ImageBatch, generator: torch.Generator | None = None) -> Encoded:
        """`[B N D]`, row by row; pooled is their mean."""
        grid = images.features if self.tower is None else self.tower.grid(images.pixels)
        if self.training and grid.shape[1] > self.num_sampled:
            device = grid.device if generator is None else generator.device
            rank = torch.rand(grid.shape[:2], generator=generator, device=device).to(grid.device)
            grid = grid.take_along_dim(rank.argsort(1)[:, : self.num_sampled].sort(1).values[..., None], 1)
        tokens = self.project(grid)
        return Encoded(tokens, tokens.mean(1))
