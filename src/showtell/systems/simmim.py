"""SimMIM: hide patches of an image and predict their pixels; nothing more is needed.

    patches -> linear -> a hidden one becomes the mask token -> + positions -> transformer
    -> one linear layer -> the pixels of each patch        loss = |predicted - true|, of the hidden alone

Source: Xie et al. 2022, "SimMIM: a simple framework for masked image modeling", figure 1, section 3.

Nothing in that loss keeps the vectors of all images from pointing almost the same way. So an image's
vector is standardised, as He et al. 2022, "Masked autoencoders are scalable vision learners", do before they
classify (appendix A.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from showtell.data.batch import Batch
from showtell.data.images import augment
from showtell.errors import UsageError
from showtell.nn.backbones.resnet import Stem
from showtell.nn.backbones.vit import PATCH_SIZE, SHAPES, VisionTransformer
from showtell.nn.pool import mean_token
from showtell.nn.towers import ImageTower
from showtell.objectives.masked_pixels import mask_patches, masked_pixels, normalise_patches
from showtell.protocols import Encoded, Step


@dataclass(frozen=True)
class SimMIMConfig:
    """The paper's numbers for ViT-B. Places are waves, where the paper learns relative ones."""

    backbone: str = "vit_base"
    stem: Stem = "imagenet"
    """Patches of 16 pixels; `cifar`: of 4."""
    mask_ratio: float = 0.6
    """Share of the patches that are masked."""
    mask_unit: int = 2
    """Patches a side of the squares that are hidden as one: 32 pixels in the paper."""
    normalised: bool = False
    """Predict pixels less their patch's mean, over its deviation (He et al. 2022, table 1d)."""

    def build(self) -> SimMIM:
        """The system with these numbers, untrained."""
        return SimMIM(self)

    @property
    def size_multiple(self) -> int:
        """Pixels a side of the squares that are masked as one: an image holds a whole number of them."""
        return PATCH_SIZE[self.stem] * self.mask_unit


class SimMIM(nn.Module):
    """Learning of images without labels, from their own pixels.

    Raises `UsageError` for a backbone that is no transformer.
    """

    Config: ClassVar = SimMIMConfig
    reads: ClassVar = "views"
    views: ClassVar = (augment.SIMMIM, augment.SIMMIM)
    training_only: ClassVar = ("mask_token", "predictor.")
    loss_weights: ClassVar = {"masked_pixels": 1.0}

    def __init__(self, config: SimMIMConfig) -> None:
        super().__init__()
        if config.backbone not in SHAPES:
            raise UsageError(
                f"SimMIM hides patches, so its backbone is a transformer: {', '.join(SHAPES)}, "
                f"not {config.backbone!r}"
            )
        self.config = config
        self.tower = ImageTower(config.backbone, config.stem)
        self.mask_token = nn.Parameter(nn.init.normal_(torch.empty(self.tower.width), std=0.02))
        self.predictor = nn.Linear(self.tower.width, 3 * self._net.patches.patch_size**2)
        self.standardise = nn.BatchNorm1d(self.tower.width, affine=False)

    @property
    def _net(self) -> VisionTransformer:
        assert isinstance(self.tower.net, VisionTransformer)
        return self.tower.net

    def encode_images(self, batch: Batch) -> Encoded:
        """One token a patch `[B N D]` of `batch.images.pixels`, none hidden, and their mean, standardised."""
        tokens = self.tower.grid(batch.images.pixels)
        return Encoded(tokens=tokens, pooled=self.standardise(tokens.mean(1)))

    def fill(self, pixels: Tensor, masked: Tensor) -> Tensor:
        """Normalised pixels `[B 3 H W]` with patches `masked [B N]` to what all mean, `[B N D]`."""
        patches = torch.where(masked[..., None], self.mask_token, self._net.patches(pixels))
        size = self._net.patches.patch_size
        return self._net.encode_patches(patches, pixels.shape[2] // size, pixels.shape[3] // size)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """The mean absolute error of hidden pixels, normalised, in the first of `batch.images.views`."""
        assert generator is not None
        pixels, config = self.tower.normalise(batch.images.views[0]), self.config
        target = self._net.patches.cut(pixels)
        rows, columns = (side // self._net.patches.patch_size for side in pixels.shape[2:])
        masked = mask_patches(len(pixels), rows, columns, generator, config.mask_ratio, config.mask_unit)
        tokens = self.fill(pixels, masked)
        if self.training:
            self.standardise(mean_token(tokens.detach().float(), ~masked, None))
        if config.normalised:
            target = normalise_patches(target)
        return Step({"masked_pixels": masked_pixels(self.predictor(tokens), target, masked)})

    def after_step(self, step: Step) -> None:
        """Nothing moves but by its gradient."""
