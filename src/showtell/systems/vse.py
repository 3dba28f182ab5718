"""VSE++: an image must be nearer to its caption than the nearest wrong caption, and the other way round.

    image -> backbone (frozen) -> mean -> linear -> u / |u|
    text    -> words -> GRU -> last state -> v / |v|
    loss = max_j [m - u.v + u.v_j]_+  +  max_i [m - u.v + u_i.v]_+

Source: Faghri et al. 2018, "VSE++: Improving visual-semantic embeddings with hard negatives", section 3,
equation 6; the sizes are those of section 4.1. From the start, the hardest rival alone draws all vectors into
one point, which may last; so the first updates may count every rival, as Chen et al. 2021, "Learning the best
pooling strategy for visual semantic embedding", do.
"""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.fusion.dot_product import TwoTowers
from showtell.nn.pool import last_token
from showtell.nn.recurrent import Recurrent
from showtell.objectives.hinge import hardest_hinge, sum_hinge
from showtell.protocols import Encoded, Step


@dataclass(frozen=True)
class VSEConfig:
    """The paper's numbers."""

    vocab_size: int = 8004
    feature_width: int = 1280
    word_width: int = 300
    width: int = 1024
    depth: int = 1
    margin: float = 0.2
    """By how much a pair must be more similar than its negatives, in cosine."""
    warmup_updates: int = 0
    """Updates in which every rival counts, before the hardest alone does."""

    def build(self) -> VSE:
        """The system with these numbers, untrained."""
        return VSE(self)

    def with_tokenizer(self, tokenizer: Sized) -> VSEConfig:
        """The vocabulary's size is that of `tokenizer`."""
        return replace(self, vocab_size=len(tokenizer))

    def with_feature_width(self, width: int) -> VSEConfig:
        """For features of `width`."""
        return replace(self, feature_width=width)


class VSE(TwoTowers):
    """Images and texts in one space."""

    Config: ClassVar = VSEConfig
    reads: ClassVar = "features"
    training_only: ClassVar = ("updates",)
    loss_weights: ClassVar = {"hinge": 1.0}

    def __init__(self, config: VSEConfig) -> None:
        super().__init__()
        self.config = c = config
        self.image = nn.Linear(c.feature_width, c.width)
        self.word_embedding = nn.Embedding(c.vocab_size, c.word_width)
        self.recurrent = Recurrent("gru", c.word_width, c.width, c.depth)
        # As the authors' program: the paper does not say.
        nn.init.xavier_uniform_(self.image.weight)
        nn.init.zeros_(self.image.bias)
        nn.init.uniform_(self.word_embedding.weight, -0.1, 0.1)
        self.updates: Tensor
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def encode_images(self, batch: Batch) -> Encoded:
        """The projected grid `[B N width]`, pooled as its projected mean, of length 1, `[B width]`."""
        return Encoded(self.image(batch.images.features), self.image_vectors(batch))

    def image_vectors(self, batch: Batch) -> Tensor:
        """The same pooled vectors `[B width]`; the mean is projected, not each patch."""
        return F.normalize(self.image(batch.images.features.mean(1)), dim=-1)

    def encode_texts(self, batch: Batch) -> Encoded:
        """The states after each word `[R L width]`, pooled as the last one, of length 1."""
        tokens, _ = self.recurrent(self.word_embedding(batch.texts.ids))
        return Encoded(
            tokens, F.normalize(last_token(tokens, batch.texts.keep, None), dim=-1), batch.texts.keep
        )

    def token_embeddings(self) -> Tensor:
        """`[V word_width]`."""
        return self.word_embedding.weight.detach()

    def losses(self, images: Tensor, texts: Tensor, owner: Tensor) -> dict[str, Tensor]:
        """The hinge: of every rival at first, then of the hardest."""
        hinge = sum_hinge if self.updates < self.config.warmup_updates else hardest_hinge
        return {"hinge": hinge(images @ texts.T, self.config.margin, owner)}

    def after_step(self, step: Step) -> None:
        """Count the updates."""
        self.updates += 1
