"""ALBEF fine-tuned to find images: contrast and matching alone.

Source: Li et al. 2021, "Align before Fuse", section 4 (image-text retrieval).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from showtell.data.batch import Batch
from showtell.nn.fitted import FitsTokenizer
from showtell.nn.momentum import Teacher
from showtell.nn.transformer import initialise
from showtell.protocols import Step
from showtell.systems.albef_parts import ALBEFPair, ALBEFPartsConfig, ALBEFTowers


@dataclass(frozen=True)
class ALBEFRetrieverConfig(FitsTokenizer, ALBEFPartsConfig):
    """ALBEF with ViT-B/16, for retrieval."""

    image_size: int = 384

    def build(self) -> ALBEFRetriever:
        """The untrained system of this config."""
        return ALBEFRetriever(self)


class ALBEFRetriever(ALBEFPair):
    """Contrast and matching, as published checkpoints for retrieval hold them."""

    Config: ClassVar = ALBEFRetrieverConfig
    config: ALBEFRetrieverConfig
    loss_weights: ClassVar = {"itc": 1.0, "itm": 1.0}

    def __init__(self, config: ALBEFRetrieverConfig) -> None:
        super().__init__()
        self.config = c = config
        self.towers = ALBEFTowers(c)
        self.make_alignment(c.shared_width)
        self.apply(initialise)
        self.teacher = Teacher(self.towers)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Both losses of a batch."""
        aligned, step = self.align(batch)
        itm = self.matched(aligned, batch.texts, self.memory_of(aligned.images), generator)
        counts = {**step.counts, "itm": len(batch.texts)}
        return Step({**step.losses, "itm": itm}, step.carry, counts)
