"""SimSiam: predict one view's projection from the other, with a stop-gradient instead of a teacher.

    z = f(x)  (backbone and projector)      p = h(z)  (predictor)
    loss = D(p_1, stopgrad(z_2)) / 2 + D(p_2, stopgrad(z_1)) / 2,   D = negative cosine

Source: Chen & He 2021, "Exploring simple siamese representation learning", section 3 and appendix D.
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
from showtell.objectives.views import simsiam_loss
from showtell.protocols import Encoded, Rate, Step


@dataclass(frozen=True)
class SimSiamConfig:
    """The paper's numbers for ImageNet; for CIFAR-10, `stem="cifar"` and two projector layers."""

    backbone: str = "resnet50"
    stem: Stem = "imagenet"
    projection_width: int = 2048
    projector_layers: int = 3
    """Layers of the projector."""
    bottleneck_width: int = 512
    """Hidden width of the predictor."""
    joint_statistics: bool = False
    """Batch norm statistics are those of both views together; if False, of each, as in the authors' code."""

    def build(self) -> SimSiam:
        """The untrained system of this config."""
        return SimSiam(self)

    @property
    def size_multiple(self) -> int:
        """Pixels: images of any size fit."""
        return 1


class SimSiam(nn.Module):
    """Self-supervised learning without negatives or a teacher."""

    Config: ClassVar = SimSiamConfig
    reads: ClassVar = "views"
    views: ClassVar = (augment.SIMSIAM, augment.SIMSIAM_CIFAR)
    training_only: ClassVar = ("projector.", "predictor.")
    loss_weights: ClassVar = {"simsiam": 1.0}
    # Source: Chen & He 2021, section 4.2: a predictor with a constant rate keeps up with its targets.
    rates: ClassVar = {"predictor.": Rate(constant=True)}

    def __init__(self, config: SimSiamConfig) -> None:
        super().__init__()
        self.config = config
        self.tower = ImageTower(config.backbone, config.stem)
        width = config.projection_width
        # The last batch norm has no gain and bias: the loss depends on directions alone.
        self.projector = nn.Sequential(
            *batch_norm_mlp(self.tower.width, *[width] * config.projector_layers),
            nn.BatchNorm1d(width, affine=False),
        )
        self.predictor = batch_norm_mlp(width, config.bottleneck_width, width, bias=True)

    def encode_images(self, batch: Batch) -> Encoded:
        """The backbone's grid `[B N D]`, pooled as its mean."""
        return self.tower.encode(batch.images.pixels)

    def project(self, pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        """`[B 3 H W]` to the projections `[B projection_width]` that the loss compares."""
        return self.projector(self.tower(pixels))

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """The loss of predicting either view from the other, averaged."""
        joint = self.config.joint_statistics
        targets = each_view(self.project, batch.images.views, joint)
        predictions = each_view(self.predictor, targets, joint)
        both = simsiam_loss(predictions[0], targets[1]) + simsiam_loss(predictions[1], targets[0])
        return Step({"simsiam": both / 2})
