"""fastText: a linear classifier of bags of features, through a narrow layer that the classes share.

    ids of features -> embeddings -> mean x -> linear -> classes

    p(y) = softmax(B (1/N) sum_n A_n)

Source: Joulin et al. 2016, "Bag of Tricks for Efficient Text Classification", section 2. A departure:
features are dropped at random in training, since those of few documents fit any labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.nn.class_names import ClassNames
from showtell.nn.linear import Linear
from showtell.protocols import Step


@dataclass(frozen=True)
class FastTextConfig(ClassNames):
    """Small enough to be sent by mail."""

    vocab_size: int = 16_384
    """Ids of features, hashed ones: 0 is none."""
    width: int = 32
    dropout: float = 0.2
    """The share of features that are left out in training."""

    def build(self) -> FastText:
        """The untrained system of this config."""
        return FastText(self)


class FastText(nn.Module):
    """Classifies bags of features: each row of `batch.texts` is one."""

    Config: ClassVar = FastTextConfig
    loss_weights: ClassVar = {"classes": 1.0}

    def __init__(self, config: FastTextConfig) -> None:
        super().__init__()
        self.config, self.class_names = config, config.class_names
        self.embed = nn.Embedding(config.vocab_size, config.width)
        self.classifier = Linear(config.width, config.num_classes)
        nn.init.uniform_(self.embed.weight, -1 / config.width, 1 / config.width)
        nn.init.zeros_(self.classifier.bias)

    def bag_classes(self, batch: Batch, keep: Tensor | None = None) -> Tensor:
        """Logits `[R num_classes]`; `keep` `[R L]` says which features count, by default all."""
        texts = batch.texts
        counted = (texts.keep if keep is None else keep).unsqueeze(-1).float()
        mean = (self.embed(texts.ids) * counted).sum(1) / counted.sum(1).clamp(min=1)
        return self.classifier(mean)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of the classes."""
        keep = batch.texts.keep
        if self.training and self.config.dropout:
            drawn = torch.rand(keep.shape, generator=generator, device=keep.device)
            keep = keep & (drawn >= self.config.dropout)
        return Step({"classes": F.cross_entropy(self.bag_classes(batch, keep), batch.targets.classes)})
