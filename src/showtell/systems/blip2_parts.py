"""The parts that both stages of BLIP-2 have: a frozen image encoder, and the sizes of the Q-Former over it.

Source: Li et al. 2023, "BLIP-2: Bootstrapping Language-Image Pre-training with Frozen Image Encoders and
Large Language Models", sections 3.1 and 3.3; the image encoder is EVA-CLIP's ViT-g/14 without its last block.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from showtell.fusion.q_former import QFormerConfig
from showtell.nn.fitted import FitsFeatures
from showtell.nn.pixels import CLIP_MEAN, CLIP_STD
from showtell.systems.clip import TowerConfig


@dataclass(frozen=True)
class BLIP2PartsConfig(FitsFeatures):
    """ViT-g/14 and 32 queries. `mean` and `std` are those of pixels in 0..1."""

    image: TowerConfig = field(default_factory=lambda: TowerConfig(1408, 16, 6144, 39, "gelu", 1e-6))
    image_size: int = 224
    patch_size: int = 14
    feature_width: int = 0
    """Width of a frozen encoder's features, where those are read; 0: pixels."""
    feature_dropout: float = 0.0
    """Share of those features that training hides from all tokens of an image."""
    former: QFormerConfig = field(default_factory=QFormerConfig)
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD

    @property
    def size_multiple(self) -> int:
        """Pixels: images are cut into patches of this side."""
        return self.patch_size
