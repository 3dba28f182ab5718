"""The tower embedder: the tokens of an image encoder of the system's own.

    pixels -> patches, [class] + positions -> transformer -> norm
    features of a frozen encoder -> linear -> transformer -> norm

Source: Li et al. 2021, "Align before Fuse", figure 1, for the first; the second is for two cores.
"""

from __future__ import annotations

from torch import nn

from showtell.data.batch import ImageBatch
from showtell.nn.linear import Linear
from showtell.nn.mask import attention_mask
from showtell.nn.patch_embedding import ImageEmbedding
from showtell.nn.pixels import PixelNorm
from showtell.nn.pool import mean_token
from showtell.nn.transformer import Transformer, TransformerConfig
from showtell.protocols import Encoded


class TowerEmbedder(nn.Module):
    """A vision transformer over pixels or, with `feature_width`, over a frozen encoder's features."""

    def __init__(
        self,
        config: TransformerConfig,
        *,
        image_size: int,
        patch_size: int,
        feature_width: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ) -> None:
        super().__init__()
        self.reads_features = feature_width > 0
        if self.reads_features:
            self.project = Linear(feature_width, config.width)
        else:
            self.normalise = PixelNorm(mean, std)
            self.embed = ImageEmbedding(image_size, patch_size, config.width)
        self.transformer = Transformer.of(config, norm="pre")

    def forward(self, images: ImageBatch) -> Encoded:
        """`[B 1+N D]`, pooled as [class]; of features `[B N D]`, pooled as the mean of the real ones."""
        if self.reads_features:
            tokens, keep = self.project(images.features), images.keep
            mask = None if keep is None else attention_mask(keep, queries=keep.shape[1])
            tokens = self.transformer(tokens, mask)
            return Encoded(tokens, mean_token(tokens, keep, None), keep)
        tokens = self.transformer(self.embed(self.normalise(images.pixels)))
        return Encoded(tokens, tokens[:, 0])
