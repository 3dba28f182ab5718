"""The tower embedder: the tokens of an image encoder of the system's own.

    pixels -> patches, [class] + positions -> transformer -> norm
    features of a frozen encoder -> linear -> transformer -> norm

Source: Li et al. 2021, "Align before Fuse", figure 1, for the first; the second is for two cores.
"""

from __future__ import annotations

from typing import Protocol

from torch import nn

from showtell.data.batch import ImageBatch
from showtell.nn.linear import Linear
from showtell.nn.mask import attention_mask
from showtell.nn.patch_embedding import ImageEmbedding
from showtell.nn.pixels import PixelNorm
from showtell.nn.pool import mean_token
from showtell.nn.transformer import Transformer, TransformerConfig
from showtell.protocols import Encoded


class TowerConfig(Protocol):
    """The fields of a system's config that describe its image encoder."""

    @property
    def image(self) -> TransformerConfig:
        """Its transformer."""

    @property
    def image_size(self) -> int:
        """Side of an image in pixels."""

    @property
    def patch_size(self) -> int:
        """Side of a patch in pixels."""

    @property
    def feature_width(self) -> int:
        """Width of a frozen encoder's features, where those are read; 0: pixels."""

    @property
    def feature_dropout(self) -> float:
        """Share of those features that training hides from all tokens of an image."""

    @property
    def mean(self) -> tuple[float, ...]:
        """Of pixels in 0..1."""

    @property
    def std(self) -> tuple[float, ...]:
        """Of pixels in 0..1."""


class TowerEmbedder(nn.Module):
    """A vision transformer over pixels or, with `feature_width`, over a frozen encoder's features."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        c, width = config, config.image.width
        self.reads_features = c.feature_width > 0
        if self.reads_features:
            # The same features of all tokens: of one alone, its neighbours would tell them.
            self.dropout = nn.Dropout1d(c.feature_dropout)
            self.project = Linear(c.feature_width, width)
        else:
            self.normalise = PixelNorm(c.mean, c.std)
            self.embed = ImageEmbedding(c.image_size, c.patch_size, width)
        self.transformer = Transformer.of(c.image, norm="pre")

    @property
    def reads(self) -> str:
        """What the batch must hold of images."""
        return "features" if self.reads_features else "pixels"

    @property
    def num_class_tokens(self) -> int:
        """Tokens that are no patches and come first."""
        return int(not self.reads_features)

    def forward(self, images: ImageBatch) -> Encoded:
        """`[B 1+N D]`, pooled as [class]; of features `[B N D]`, pooled as the mean of the real ones."""
        if self.reads_features:
            features = self.dropout(images.features.transpose(1, 2)).transpose(1, 2)
            tokens, keep = self.project(features), images.keep
            mask = None if keep is None else attention_mask(keep, queries=keep.shape[1])
            tokens = self.transformer(tokens, mask)
            return Encoded(tokens, mean_token(tokens, keep, None), keep)
        tokens = self.transformer(self.embed(self.normalise(images.pixels)))
        return Encoded(tokens, tokens[:, 0])
