"""SimMIM: masked image modelling by regression of the masked patches' pixels.

    patches -> linear -> masked ones become the mask token -> + positions -> transformer
    -> one linear layer -> the pixels of each patch        loss = |predicted - true| over masked patches

Source: Xie et al. 2022, "SimMIM: a simple framework for masked image modeling", figure 1, section 3.

The loss does not keep the vectors of all images from pointing in almost the same direction. So the pooled
vector is standardised, as He et al. 2022, "Masked autoencoders are scalable vision learners", do before
linear probing (appendix A.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from showtell.data.batch import Batch
from showtell.data.images import augment
from showtell.errors import UsageError
from showtell.nn.backbones.resnet import Stem
from showtell.nn.backbones.vit import PATCH_SIZE, SHAPES, VisionTransformer
from showtell.nn.linear import Linear
from showtell.nn.pool import mean_token
from showtell.nn.towers import ImageTower
from showtell.objectives.masked_pixels import mask_patches, masked_pixels, normalise_patches
from showtell.protocols import Encoded, Step


@dataclass(frozen=True)
class SimMIMConfig:
    """The paper's numbers for ViT-B, with sine positions where the paper learns relative ones."""

    backbone: str = "vit_base"
    stem: Stem = "imagenet"
    """`imagenet`: patches of 16 pixels; `cifar`: of 4."""
    mask_ratio: float = 0.6
    """Share of the patches that are masked."""
    mask_unit: int = 2
    """Patches per side of the squares that are masked as one: 32 pixels in the paper."""
    normalised: bool = False
    """Predict each patch minus its mean, over its standard deviation (He et al. 2022, table 1d)."""

    def build(self) -> SimMIM:
        """The untrained system of this config."""
        return SimMIM(self)

    @property
    def size_multiple(self) -> int:
        """Pixels per side of the squares that are masked as one; images hold a whole number of them."""
        return PATCH_SIZE[self.stem] * self.mask_unit


class SimMIM(nn.Module):
    """Self-supervised learning by masked image modelling.

    Raises `UsageError` for a backbone that is not a transformer.
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
                f"SimMIM masks patches, so its backbone must be a transformer ({', '.join(SHAPES)}), "
                f"not {config.backbone!r}"
            )
        self.config = config
        self.tower = ImageTower(config.backbone, config.stem)
        self.mask_token = nn.Parameter(nn.init.normal_(torch.empty(self.tower.width), std=0.02))
        self.predictor = Linear(self.tower.width, 3 * self._net.patches.patch_size**2)
        self.standardise = nn.BatchNorm1d(self.tower.width, affine=False)

    @property
    def _net(self) -> VisionTransformer:
        assert isinstance(self.tower.net, VisionTransformer)
        return self.tower.net

    def encode_images(self, batch: Batch) -> Encoded:
        """Patches `[B N D]`, none masked, pooled as their standardised mean."""
        tokens = self.tower.grid(batch.images.pixels)
        return Encoded(tokens=tokens, pooled=self.standardise(tokens.mean(1)))

    def encode_masked(
        self, pixels: Float[Tensor, "B 3 H W"], masked: Bool[Tensor, "B N"]
    ) -> Float[Tensor, "B N D"]:
        """Normalised pixels `[B 3 H W]`, with patches `masked [B N]`, to tokens `[B N D]`."""
        patches = torch.where(masked[..., None], self.mask_token, self._net.patches(pixels))
        size = self._net.patches.patch_size
        return self._net.encode_patches(patches, pixels.shape[2] // size, pixels.shape[3] // size)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Mean absolute error of the masked pixels, normalised, of the first view."""
        assert generator is not None
        pixels, config = self.tower.normalise(batch.images.views[0]), self.config
        target = self._net.patches.cut(pixels)
        rows, columns = (side // self._net.patches.patch_size for side in pixels.shape[2:])
        masked = mask_patches(len(pixels), rows, columns, generator, config.mask_ratio, config.mask_unit)
        tokens = self.encode_masked(pixels, masked)
        if self.training:
            self.standardise(mean_token(tokens.detach().float(), ~masked, None))
        if config.normalised:
            target = normalise_patches(target)
        return Step({"masked_pixels": masked_pixels(self.predictor(tokens), target, masked)})
