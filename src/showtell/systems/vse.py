"""VSE++: an image tower and a text tower, trained by a hinge loss with the hardest negatives.

    image -> backbone (frozen) -> mean -> linear -> u / |u|
    text  -> tokens -> GRU -> last state -> v / |v|
    loss  = max_j [m - u.v + u.v_j]_+  +  max_i [m - u.v + u_i.v]_+

Source: Faghri et al. 2018, "VSE++: Improving visual-semantic embeddings with hard negatives", section 3,
equation 6; the sizes are those of section 4.1. With the hardest negative alone, training may start in a
collapse that lasts; so the first updates may use all negatives, as in Chen et al. 2021, "Learning the best
pooling strategy for visual semantic embedding".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.fusion.dot_product import TwoTowers
from showtell.nn.fitted import FitsFeatures, FitsTokenizer
from showtell.nn.linear import Linear
from showtell.nn.pool import last_token
from showtell.nn.recurrent import Recurrent
from showtell.objectives.cosine import all_cosines
from showtell.objectives.hinge import hardest_hinge, sum_hinge
from showtell.protocols import Encoded, Step


@dataclass(frozen=True)
class VSEConfig(FitsTokenizer, FitsFeatures):
    """The paper's numbers."""

    vocab_size: int = 8004
    feature_width: int = 1280
    word_width: int = 300
    width: int = 1024
    depth: int = 1
    margin: float = 0.2
    """The margin between a pair and its negatives, in cosine."""
    warmup_updates: int = 0
    """Updates with all negatives, before those with the hardest alone."""

    def build(self) -> VSE:
        """The untrained system of this config."""
        return VSE(self)


class VSE(TwoTowers):
    """Images and texts in one embedding space."""

    Config: ClassVar = VSEConfig
    reads: ClassVar = "features"
    training_only: ClassVar = ("updates",)
    loss_weights: ClassVar = {"hinge": 1.0}

    def __init__(self, config: VSEConfig) -> None:
        super().__init__()
        self.config = c = config
        self.image = Linear(c.feature_width, c.width)
        self.word_embedding = nn.Embedding(c.vocab_size, c.word_width)
        self.recurrent = Recurrent("gru", c.word_width, c.width, c.depth)
        # As in the authors' code: the paper does not say.
        nn.init.xavier_uniform_(self.image.weight)
        nn.init.zeros_(self.image.bias)
        nn.init.uniform_(self.word_embedding.weight, -0.1, 0.1)
        self.updates: Tensor
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def encode_images(self, batch: Batch) -> Encoded:
        """The projected grid `[B N width]`; pooled `[B width]`, its mean projected, of length 1."""
        return Encoded(self.image(batch.images.features), self.image_vectors(batch))

    def image_vectors(self, batch: Batch) -> Float[Tensor, "B D"]:
        """The pooled vectors alone, `[B width]`: only the mean is projected."""
        return F.normalize(self.image(batch.images.features.mean(1)), dim=-1)

    def encode_texts(self, batch: Batch) -> Encoded:
        """The state after each token `[R L width]`; pooled `[R width]`, the last one, of length 1."""
        tokens, _ = self.recurrent(self.word_embedding(batch.texts.ids))
        return Encoded(
            tokens, F.normalize(last_token(tokens, batch.texts.keep, None), dim=-1), batch.texts.keep
        )

    def token_embeddings(self) -> Float[Tensor, "V D"]:
        """The token embedding `[V word_width]`."""
        return self.word_embedding.weight.detach()

    def losses(
        self, images: Float[Tensor, "B D"], texts: Float[Tensor, "R D"], owner: Int[Tensor, " R"]
    ) -> dict[str, Float[Tensor, ""]]:
        """The hinge loss: over all negatives at first, then of the hardest."""
        hinge = sum_hinge if self.updates < self.config.warmup_updates else hardest_hinge
        return {"hinge": hinge(all_cosines(images, texts), self.config.margin, owner)}

    def after_step(self, step: Step) -> None:
        """Count the updates."""
        self.updates += 1
