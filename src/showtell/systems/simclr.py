"""SimCLR: contrastive learning from two augmented views of each image.

    x~_1, x~_2 = two augmentations of x
    h = f(x~)  (backbone, mean over the grid)      z = g(h)  (projector, used in training alone)
    loss = NT-Xent of all z, temperature tau

Source: Chen et al. 2020, "A simple framework for contrastive learning of visual representations",
section 2 and appendix B.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from showtell.data.batch import Batch
from showtell.data.images import augment
from showtell.nn.backbones.resnet import Stem
from showtell.nn.heads import batch_norm_mlp
from showtell.nn.towers import ImageTower, each_view
from showtell.objectives.gather import gather_rows
from showtell.objectives.views import nt_xent
from showtell.protocols import Encoded, Step


@dataclass(frozen=True)
class SimCLRConfig:
    """The paper's numbers for ImageNet; for CIFAR-10, `stem="cifar"` and a temperature of 0.5."""

    backbone: str = "resnet50"
    stem: Stem = "imagenet"
    hidden_width: int = 2048
    projection_width: int = 128
    temperature: float = 0.1
    joint_statistics: bool = True
    """Batch norm statistics are those of both views together, as in the authors' code; if False, of each."""

    def build(self) -> SimCLR:
        """The untrained system of this config."""
        return SimCLR(self)

    @property
    def size_multiple(self) -> int:
        """Pixels: images of any size fit."""
        return 1


class SimCLR(nn.Module):
    """Self-supervised contrastive learning of images."""

    Config: ClassVar = SimCLRConfig
    reads: ClassVar = "views"
    views: ClassVar = (augment.SIMCLR, augment.SIMCLR_CIFAR)
    training_only: ClassVar = ("projector.",)
    loss_weights: ClassVar = {"nt_xent": 1.0}

    def __init__(self, config: SimCLRConfig) -> None:
        super().__init__()
        self.config = config
        self.tower = ImageTower(config.backbone, config.stem)
        width = config.projection_width
        self.projector = nn.Sequential(
            *batch_norm_mlp(self.tower.width, config.hidden_width, width), nn.BatchNorm1d(width)
        )

    def encode_images(self, batch: Batch) -> Encoded:
        """The backbone's grid `[B N D]`, pooled as its mean."""
        return self.tower.encode(batch.images.pixels)

    def project(self, pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        """`[B 3 H W]` to the projections `[B projection_width]` that the loss compares."""
        return self.projector(self.tower(pixels))

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """NT-Xent of the two views, among the images of all processes."""
        first, second = each_view(self.project, batch.images.views, self.config.joint_statistics)
        loss = nt_xent(gather_rows(first), gather_rows(second), self.config.temperature)
        return Step({"nt_xent": loss})
