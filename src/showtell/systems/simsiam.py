"""SimSiam: BYOL without a teacher; a gradient that is stopped is enough.

    z = f(x)  (backbone and projector)      p = h(z)  (predictor)
    loss = D(p_1, stopgrad(z_2)) / 2 + D(p_2, stopgrad(z_1)) / 2,   D = negative cosine

Source: Chen & He 2021, "Exploring simple siamese representation learning", section 3 and appendix D.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
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
    """The predictor's hidden layer."""
    joint_statistics: bool = False
    """Batch norm sees both views at once; False: each view alone, as in the authors' program."""

    def build(self) -> SimSiam:
        """The system with these numbers, untrained."""
        return SimSiam(self)

    @property
    def size_multiple(self) -> int:
        """Images of any size fit."""
        return 1


class SimSiam(nn.Module):
    """Learning of images without labels, negatives or a teacher."""

    Config: ClassVar = SimSiamConfig
    reads: ClassVar = "views"
    views: ClassVar = (augment.SIMSIAM, augment.SIMSIAM_CIFAR)
    training_only: ClassVar = ("projector.", "predictor.")
    loss_weights: ClassVar = {"simsiam": 1.0}
    # Source: Chen & He 2021, section 4.2: a predictor whose rate does not fall keeps up with the targets.
    rates: ClassVar = {"predictor.": Rate(constant=True)}

    def __init__(self, config: SimSiamConfig) -> None:
        super().__init__()
        self.config = config
        self.tower = ImageTower(config.backbone, config.stem)
        width = config.projection_width
        # The last batch norm has no gain and no shift: the loss reads directions alone.
        self.projector = nn.Sequential(
            *batch_norm_mlp(self.tower.width, *[width] * config.projector_layers),
            nn.BatchNorm1d(width, affine=False),
        )
        self.predictor = batch_norm_mlp(width, config.bottleneck_width, width, bias=True)

    def encode_images(self, batch: Batch) -> Encoded:
        """The backbone's grid `[B N D]` of `batch.images.pixels`, and its mean."""
        return self.tower.encode(batch.images.pixels)

    def project(self, pixels: Tensor) -> Tensor:
        """`[B 3 H W]` to `[B projection_width]`, where the loss compares: what may collapse."""
        return self.projector(self.tower(pixels))

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """The loss of predicting each view of `batch.images.views` from the other, averaged."""
        joint = self.config.joint_statistics
        targets = each_view(self.project, batch.images.views, joint)
        predictions = each_view(self.predictor, targets, joint)
        both = simsiam_loss(predictions[0], targets[1]) + simsiam_loss(predictions[1], targets[0])
        return Step({"simsiam": both / 2})

    def after_step(self, step: Step) -> None:
        """Nothing moves but by its gradient."""
