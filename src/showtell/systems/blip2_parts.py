"""The parts that both stages of BLIP-2 have: a frozen image encoder, and the sizes of the Q-Former over it.

Source: Li et al. 2023, "BLIP-2: Bootstrapping Language-Image Pre-training with Frozen Image Encoders and
Large Language Models", sections 3.1 and 3.3; the image encoder is EVA-CLIP's ViT-g/14 without its last block.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from showtell.fusion.q_former import QFormerConfig
from showtell.fusion.visual.tower import TowerEmbedderConfig
from showtell.systems.clip import TowerConfig


@dataclass(frozen=True)
class BLIP2PartsConfig(TowerEmbedderConfig):
    """ViT-g/14 and 32 queries."""

    image: TowerConfig = field(default_factory=lambda: TowerConfig(1408, 16, 6144, 39, "gelu", 1e-6))
    patch_size: int = 14
    former: QFormerConfig = field(default_factory=QFormerConfig)
