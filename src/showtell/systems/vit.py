"""ViT: a transformer over image patches.

    224 x 224 x 3 -> 196 patches of 16 x 16 x 3 -> 196 x 768, after a [class] token: 197 x 768
    + learned positions -> transformer (pre-norm) -> norm -> [class] -> linear -> classes

Source: Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", figure 1, equations 1 to 4; ViT-B/16.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.nn.class_names import ClassNames
from showtell.nn.feedforward import Activation
from showtell.nn.heads import Pooler
from showtell.nn.linear import Linear
from showtell.nn.patch_embedding import ImageEmbedding
from showtell.nn.pixels import PixelNorm
from showtell.nn.positions import Positions
from showtell.nn.transformer import Transformer, initialise
from showtell.protocols import Encoded, Step


@dataclass(frozen=True)
class ViTEncoderConfig:
    """ViT-B/16. `mean` and `std` are those of pixels in 0..1."""

    image_size: int = 224
    patch_size: int = 16
    width: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_dim: int = 3072
    activation: Activation = "gelu"
    eps: float = 1e-12
    dropout: float = 0.0
    positions: Positions = "learned"
    """Learned in the paper, which compares others in appendix D.4."""
    pooler: bool = False
    """Whether a dense layer follows [class], as in the paper's pretraining."""
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)

    def build(self) -> ViTEncoder:
        """The untrained system of this config."""
        return ViTEncoder(self)

    @property
    def size_multiple(self) -> int:
        """Pixels: images are cut into patches of this side."""
        return self.patch_size


class ViTEncoder(nn.Module):
    """The transformer, without a classifier."""

    Config: ClassVar = ViTEncoderConfig
    reads: ClassVar = "pixels"
    num_class_tokens: ClassVar = 1

    def __init__(self, config: ViTEncoderConfig) -> None:
        super().__init__()
        self.config = c = config
        self.normalise = PixelNorm(c.mean, c.std)
        self.embed = ImageEmbedding(c.image_size, c.patch_size, c.width, positions=c.positions)
        self.transformer = Transformer.of(c, norm="pre", dropout=c.dropout)
        self.pooler = Pooler(c.width) if c.pooler else nn.Identity()
        self.apply(initialise)

    def encode_images(self, batch: Batch) -> Encoded:
        """[class] and patches `[B 1+N D]`, pooled as [class].

        Images may have any size: the position embeddings are resized.
        """
        tokens = self.embed(self.normalise(batch.images.pixels))
        tokens = self.transformer(F.dropout(tokens, self.config.dropout, self.training))
        return Encoded(tokens, self.pooler(tokens[:, 0]))


@dataclass(frozen=True)
class ViTConfig(ClassNames, ViTEncoderConfig):
    """ViT-B/16 with the classes of ImageNet."""

    num_classes: int = 1000

    def build(self) -> ViT:
        """The untrained system of this config."""
        return ViT(self)


class ViT(ViTEncoder):
    """The encoder, trained to classify."""

    Config: ClassVar = ViTConfig
    config: ViTConfig
    loss_weights: ClassVar = {"classes": 1.0}

    def __init__(self, config: ViTConfig) -> None:
        super().__init__(config)
        self.class_names = config.class_names
        self.classifier = Linear(config.width, config.num_classes)
        initialise(self.classifier)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of the classes."""
        return Step(
            {"classes": F.cross_entropy(self.classify(self.encode_images(batch)), batch.targets.labels)}
        )

    def classify(self, encoded: Encoded) -> Float[Tensor, "B K"]:
        """Logits `[B num_classes]`."""
        return self.classifier(encoded.pooled)
