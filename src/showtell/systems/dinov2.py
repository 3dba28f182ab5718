"""DINOv2: self-supervised image features for many tasks without fine-tuning.

    224 x 224 x 3 -> 256 patches of 14 x 14 x 3, after [class] (and registers) + learned positions
    -> transformer (pre-norm, LayerScale) -> norm -> [class], patches
    classes: linear([class], mean of the patches)

Source: Oquab et al. 2024, "DINOv2: Learning Robust Visual Features without Supervision"; Darcet et al. 2024,
"Vision Transformers Need Registers". The sizes are ViT-B/14. The backbone and its linear classifier are here,
the self-distillation on 142 M images is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.nn.class_names import ClassNames
from showtell.nn.feedforward import Activation
from showtell.nn.linear import Linear
from showtell.nn.patch_embedding import ImageEmbedding
from showtell.nn.pixels import PixelNorm
from showtell.nn.transformer import Transformer, initialise
from showtell.protocols import Encoded, Step


@dataclass(frozen=True)
class DINOv2Config:
    """DINOv2 ViT-B/14, trained at up to 518 pixels. `mean` and `std` are those of pixels in 0..1."""

    image_size: int = 518
    patch_size: int = 14
    width: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_dim: int = 3072
    num_registers: int = 0
    activation: Activation = "gelu"
    """`swiglu` in ViT-g."""
    eps: float = 1e-6
    layer_scale: float = 1e-5
    """Initial value of LayerScale."""
    mask_token: bool = True
    """Whether the weights include the mask token of pretraining."""
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    def build(self) -> DINOv2:
        """The untrained system of this config."""
        return DINOv2(self)

    @property
    def size_multiple(self) -> int:
        """Pixels: images are cut into patches of this side."""
        return self.patch_size


class DINOv2(nn.Module):
    """The backbone."""

    Config: ClassVar = DINOv2Config
    reads: ClassVar = "pixels"
    num_class_tokens: ClassVar = 1

    def __init__(self, config: DINOv2Config) -> None:
        super().__init__()
        self.config = c = config
        self.normalise = PixelNorm(c.mean, c.std)
        self.embed = ImageEmbedding(
            c.image_size,
            c.patch_size,
            c.width,
            num_registers=c.num_registers,
            mask_token=c.mask_token,
            antialias=c.num_registers > 0,
        )
        self.transformer = Transformer.of(c, norm="pre", layer_scale=c.layer_scale)
        self.apply(initialise)

    def encode_images(self, batch: Batch) -> Encoded:
        """[class] and patches `[B 1+N D]`, pooled as [class]; registers are dropped.

        Images may have any size; the paper's have 224 and 518 pixels.
        """
        tokens = self.read(batch)
        tokens = torch.cat([tokens[:, :1], tokens[:, self.embed.num_before :]], 1)
        return Encoded(tokens, tokens[:, 0])

    def read(self, batch: Batch, masked: Bool[Tensor, "B N"] | None = None) -> Float[Tensor, "B M D"]:
        """All tokens `[B 1+R+N D]`, registers included; patches `masked [B N]` become the mask token."""
        return self.transformer(self.embed(self.normalise(batch.images.pixels), masked))


@dataclass(frozen=True)
class DINOv2ClassifierConfig(ClassNames, DINOv2Config):
    """The backbone with a linear classifier of ImageNet's classes."""

    num_classes: int = 1000

    def build(self) -> DINOv2Classifier:
        """The untrained system of this config."""
        return DINOv2Classifier(self)


class DINOv2Classifier(DINOv2):
    """The backbone and a linear classifier on [class] and the mean of the patches."""

    Config: ClassVar = DINOv2ClassifierConfig
    config: DINOv2ClassifierConfig
    loss_weights: ClassVar = {"classes": 1.0}

    def __init__(self, config: DINOv2ClassifierConfig) -> None:
        super().__init__(config)
        self.class_names = config.class_names
        self.classifier = Linear(2 * config.width, config.num_classes)
        initialise(self.classifier)

    def classify(self, encoded: Encoded) -> Float[Tensor, "B K"]:
        """Logits `[B num_classes]`."""
        return self.classifier(torch.cat([encoded.pooled, encoded.tokens[:, 1:].mean(1)], -1))

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of the classes."""
        return Step(
            {"classes": F.cross_entropy(self.classify(self.encode_images(batch)), batch.targets.labels)}
        )
