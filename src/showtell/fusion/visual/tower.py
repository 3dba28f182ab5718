"""The tower embedder: the tokens of an image encoder of the system's own.

    pixels -> patches, [class] + positions -> transformer -> norm
    features of a frozen encoder -> linear -> transformer -> norm

Source: Li et al. 2021, "Align before Fuse", figure 1, for the first; the second is for two cores.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from showtell.data.batch import ImageBatch
from showtell.nn.fitted import FitsFeatures
from showtell.nn.linear import Linear
from showtell.nn.mask import attention_mask
from showtell.nn.patch_embedding import ImageEmbedding
from showtell.nn.pixels import CLIP_MEAN, CLIP_STD, PixelNorm
from showtell.nn.pool import mean_token
from showtell.nn.transformer import Transformer, TransformerConfig
from showtell.protocols import Encoded


@dataclass(frozen=True)
class TowerEmbedderConfig(FitsFeatures):
    """The image encoder of a system's config, which inherits it. `mean` and `std` are those of pixels in
    0..1.
    """

    image: TransformerConfig
    image_size: int = 224
    patch_size: int = 16
    feature_width: int = 0
    """Width of a frozen encoder's features, where those are read; 0: pixels."""
    feature_dropout: float = 0.0
    """Share of those features that training hides from all tokens of an image."""
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD

    @property
    def size_multiple(self) -> int:
        """Pixels: images are cut into patches of this side."""
        return self.patch_size


class TowerEmbedder(nn.Module):
    """A vision transformer over pixels or, with `feature_width`, over a frozen encoder's features."""

    def __init__(self, config: TowerEmbedderConfig) -> None:
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
