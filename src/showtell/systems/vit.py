"""ViT: an image is worth 16 x 16 words.

    224 x 224 x 3 -> 196 patches of 16 x 16 x 3 -> 196 x 768, a [class] token before them: 197 x 768
    + learned positions -> transformer (pre-norm) -> norm -> [class] -> linear -> classes

Source: Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", figure 1, equations 1 to 4; ViT-B/16.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.nn.embed import normalise
from showtell.nn.feedforward import Activation
from showtell.nn.picture import PictureEmbedding
from showtell.nn.positions import Positions
from showtell.nn.transformer import Transformer, initialise
from showtell.protocols import Encoded, Step


@dataclass(frozen=True)
class ViTConfig:
    """ViT-B/16 with the classes of ImageNet. Pixels are normalised by `mean` and `std`, of 0..1."""

    image_size: int = 224
    patch_size: int = 16
    width: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_dim: int = 3072
    num_classes: int = 1000
    class_names: tuple[str, ...] = ()
    """In the order of the logits; empty where nobody named them."""
    activation: Activation = "gelu"
    eps: float = 1e-12
    dropout: float = 0.0
    positions: Positions = "learned"
    """The paper's; the others are those it compares with in appendix D.4, and waves."""
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)

    def __post_init__(self) -> None:
        if len(self.class_names) not in (0, self.num_classes):
            raise ValueError(f"{len(self.class_names)} names for {self.num_classes} classes")


class ViT(nn.Module):
    """A transformer over patches, trained to classify."""

    Config: ClassVar = ViTConfig
    loss_weights: ClassVar = {"classes": 1.0}

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.config = c = config
        self.class_names = c.class_names
        self.embed = PictureEmbedding(c.image_size, c.patch_size, c.width, positions=c.positions)
        self.transformer = Transformer.of(c, norm="pre", dropout=c.dropout)
        self.classifier = nn.Linear(c.width, c.num_classes)
        self.apply(initialise)

    def embed_image(self, batch: Batch) -> Encoded:
        """The [class] token and the patches, `tokens [B 1+N D]`, pooled as the first.

        Pictures of another size than the trained one get resized positions.
        """
        assert batch.pixels is not None
        c = self.config
        tokens = self.embed(normalise(batch.pixels, c.mean, c.std, self.classifier.weight.dtype))
        tokens = self.transformer(F.dropout(tokens, c.dropout, self.training))
        return Encoded(tokens, tokens[:, 0])

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of the pictures' classes."""
        assert batch.labels is not None
        return Step({"classes": F.cross_entropy(self.classify(self.embed_image(batch)), batch.labels)})

    def classify(self, encoded: Encoded) -> Tensor:
        """Logits `[B num_classes]`."""
        return self.classifier(encoded.pooled)

    def after_step(self, step: Step) -> None:
        """Nothing moves but by its gradient."""
