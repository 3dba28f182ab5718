"""The tokens of a frozen image encoder, for what is trained to read them.

    pixels -> vision transformer, never trained -> tokens
    features of a frozen encoder in front of the system -> norm -> tokens

Source: Li et al. 2023, "BLIP-2", section 3.3. Of the tower not even the last norm is trained, which their
code trains with the Q-Former; over features that norm is the system's own.
"""

from __future__ import annotations

from torch import nn

from showtell.data.batch import ImageBatch
from showtell.fusion.visual.tower import TowerEmbedder, TowerEmbedderConfig
from showtell.nn.pool import mean_token
from showtell.protocols import Encoded


class FrozenImages(nn.Module):
    """A vision transformer that keeps its parameters or, with `feature_width`, a norm of features."""

    def __init__(self, config: TowerEmbedderConfig) -> None:
        super().__init__()
        c = config
        self.reads = "features" if c.feature_width else "pixels"
        self.num_class_tokens = int(not c.feature_width)
        self.width = c.feature_width or c.image.width
        if c.feature_width:
            self.norm = nn.LayerNorm(c.feature_width, c.image.eps)
            self.dropout = nn.Dropout1d(c.feature_dropout)  # the same features of all tokens
        else:
            self.tower = TowerEmbedder(c).requires_grad_(False)

    def forward(self, images: ImageBatch) -> Encoded:
        """`[B 1+N C]`, pooled as [class]; of features `[B N C]`, pooled as the mean of the real ones."""
        if self.reads == "pixels":
            encoded: Encoded = self.tower(images)
            return encoded
        tokens, keep = self.norm(images.features), images.keep
        tokens = self.dropout(tokens.transpose(1, 2)).transpose(1, 2)
        return Encoded(tokens, mean_token(tokens, keep, None), keep)
