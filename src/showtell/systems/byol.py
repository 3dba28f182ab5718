"""BYOL: predict a momentum teacher's projection of one view from the other view.

    student:  y = f(v),   z  = g(y),    q(z)        backbone, projector, predictor
    teacher:  y' = f'(v'), z' = g'(y')              moving average, xi <- tau xi + (1 - tau) theta
    loss = |q(z)/|q(z)| - z'/|z'||^2, plus the same with the views swapped

Source: Grill et al. 2020, "Bootstrap your own latent", section 3 and appendix C.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from showtell.data.batch import Batch
from showtell.data.images import augment
from showtell.nn.backbones.resnet import Stem
from showtell.nn.heads import batch_norm_mlp
from showtell.nn.momentum import Teacher, cosine_momentum
from showtell.nn.towers import ImageTower, each_view
from showtell.objectives.views import byol_loss
from showtell.protocols import Encoded, Step


@dataclass(frozen=True)
class BYOLConfig:
    """The paper's numbers for ImageNet; `total_steps` is 1,000 epochs of 1,281,167 images by 4,096."""

    backbone: str = "resnet50"
    stem: Stem = "imagenet"
    hidden_width: int = 4096
    projection_width: int = 256
    momentum: float = 0.996
    """The teacher's initial momentum (tau); it rises to 1."""
    total_steps: int = 312_785
    """Updates after which the teacher no longer moves: those of the run."""
    joint_statistics: bool = False
    """Batch norm statistics are those of both views together; if False, of each, as in the authors' code."""

    def build(self) -> BYOL:
        """The untrained system of this config."""
        return BYOL(self)

    @property
    def size_multiple(self) -> int:
        """Pixels: images of any size fit."""
        return 1

    def with_steps(self, steps: int) -> BYOLConfig:
        """For a run of `steps` updates."""
        return replace(self, total_steps=steps)


class BYOL(nn.Module):
    """Self-supervised learning without negatives, from a momentum teacher."""

    Config: ClassVar = BYOLConfig
    reads: ClassVar = "views"
    views: ClassVar = (augment.BYOL, augment.BYOL_CIFAR)
    training_only: ClassVar = ("teacher.", "projector.", "predictor.", "updates")
    loss_weights: ClassVar = {"byol": 1.0}

    def __init__(self, config: BYOLConfig) -> None:
        super().__init__()
        self.config = config
        self.tower = ImageTower(config.backbone, config.stem)
        hidden, width = config.hidden_width, config.projection_width
        self.projector = batch_norm_mlp(self.tower.width, hidden, width)
        self.predictor = batch_norm_mlp(width, hidden, width)
        self.teacher = Teacher(self._student())
        self.updates: Tensor
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def _student(self) -> nn.Module:
        """The modules that the teacher copies: all but the predictor."""
        return nn.Sequential(OrderedDict(tower=self.tower, projector=self.projector))

    def encode_images(self, batch: Batch) -> Encoded:
        """The student's grid `[B N D]`, pooled as its mean."""
        return self.tower.encode(batch.images.pixels)

    def project(self, pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        """`[B 3 H W]` to the student's projections `[B projection_width]`."""
        return self.projector(self.tower(pixels))

    def _predict(self, pixels: Tensor) -> Tensor:
        return self.predictor(self.project(pixels))

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """The loss of predicting either view from the other, summed."""
        joint = self.config.joint_statistics
        predictions = each_view(self._predict, batch.images.views, joint)
        targets = each_view(self.teacher, batch.images.views, joint)
        both = byol_loss(predictions[0], targets[1]) + byol_loss(predictions[1], targets[0])
        return Step({"byol": both})

    def after_step(self, step: Step) -> None:
        """Move the teacher towards the student."""
        config = self.config
        self.teacher.follow(
            self._student(), cosine_momentum(int(self.updates), config.total_steps, config.momentum)
        )
        self.updates += 1
