"""Ranking of fused pairs: each text's own image against others of the batch.

    text | image_k -> encoder of pairs -> p_k -> w . p_k;   softmax over its own image and the others

Source: Kim et al. 2021, "ViLT", section 4.4. The paper draws 15 false texts per image; here each text meets
other images, which are embedded once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.fusion.pairs import FusedPairs
from showtell.nn.linear import Linear
from showtell.nn.transformer import initialise
from showtell.objectives.matching import draw_others
from showtell.protocols import Step


@dataclass(frozen=True)
class PairRankingConfig:
    """What the loss needs to know; the config of a ranker inherits it before its encoder's."""

    num_negatives: int = 15
    """Other images of the batch per text."""


class PairRanking(FusedPairs):
    """`PairScorer` and `Trainable` for a `PairEncoder` that joins texts with images."""

    heads: ClassVar = ("rank",)
    loss_weights: ClassVar = {"ranking": 1.0}
    config: Any
    fused_width: int
    rank_bias: Tensor

    def make_ranking(self) -> None:
        """The head, initialised."""
        self.rank = Linear(self.fused_width, 1, bias=False)
        self.rank.apply(initialise)
        self.register_buffer("rank_bias", torch.zeros(1))  # the loss does not depend on it

    def match(self, vectors: Float[Tensor, "R F"]) -> Float[Tensor, " R"]:
        """The score of each pair."""
        return self.rank(vectors)[:, 0] + self.rank_bias

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of each text's own image among `num_negatives` others, or as many as there are."""
        images, texts = self.embed_images(batch, generator), batch.texts
        owner = texts.owner
        if owner is None:
            owner = torch.arange(len(texts), device=texts.ids.device)
        count = min(self.config.num_negatives, len(images.tokens) - 1)
        others = draw_others(owner, len(images.tokens), count, generator)
        columns = torch.cat([owner[:, None], others], 1).unbind(1)
        pairs = [Batch(texts=replace(texts, owner=column)) for column in columns]
        scores = torch.stack([self.match(self.pair_vectors(pair, images)) for pair in pairs], 1)
        own = torch.zeros(len(scores), dtype=torch.long, device=scores.device)
        return Step({"ranking": F.cross_entropy(scores, own)}, counts={"ranking": len(scores)})
