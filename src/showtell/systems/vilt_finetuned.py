"""ViLT fine-tuned: answers to questions (VQA), statements about two images (NLVR2), ranking of texts.

Source: Kim et al. 2021, "ViLT", sections 4.2 to 4.4: for two images the modal types of the second image are
copied from the first; for ranking, each pair among false ones of the batch. The paper draws 15 false texts
per image; here each text meets other images, which are embedded once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.fusion.answering import AnswererConfig, PairAnswers
from showtell.nn.linear import Linear
from showtell.nn.transformer import initialise
from showtell.objectives.matching import draw_others
from showtell.protocols import Encoded, Step
from showtell.systems.vilt import ViLTEncoder, ViLTEncoderConfig


@dataclass(frozen=True)
class ViLTAnswererConfig(AnswererConfig, ViLTEncoderConfig):
    """ViLT-B/32 with the 3,129 answers of VQA v2."""

    def build(self) -> ViLTAnswerer:
        """The untrained system of this config."""
        return ViLTAnswerer(self)


class ViLTAnswerer(ViLTEncoder, PairAnswers):
    """Answers questions about one image, or about two."""

    Config: ClassVar = ViLTAnswererConfig
    config: ViLTAnswererConfig
    image_types: ClassVar = "modal_types.weight"

    def __init__(self, config: ViLTAnswererConfig) -> None:
        super().__init__(config)
        self.make_answers()


@dataclass(frozen=True)
class ViLTRankerConfig(ViLTEncoderConfig):
    """ViLT-B/32 that ranks texts for an image."""

    num_negatives: int = 15
    """Other images of the batch per text."""

    def build(self) -> ViLTRanker:
        """The untrained system of this config."""
        return ViLTRanker(self)


class ViLTRanker(ViLTEncoder):
    """Scores how well an image and a text match, trained on each text's image among others."""

    Config: ClassVar = ViLTRankerConfig
    config: ViLTRankerConfig
    rank_bias: Tensor
    heads: ClassVar = ("rank",)
    loss_weights: ClassVar = {"ranking": 1.0}

    def __init__(self, config: ViLTRankerConfig) -> None:
        super().__init__(config)
        self.rank = Linear(config.width, 1, bias=False)
        self.rank.apply(initialise)
        self.register_buffer("rank_bias", torch.zeros(1))  # the loss does not depend on it

    def match(self, fused: Encoded) -> Float[Tensor, " R"]:
        """The score of each pair."""
        return self.rank(fused.pooled)[:, 0] + self.rank_bias

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of each text's own image among `num_negatives` others, or as many as there are."""
        images, texts = self.embed_images(batch, generator), batch.texts
        owner = texts.owner
        if owner is None:
            owner = torch.arange(len(texts), device=texts.ids.device)
        count = min(self.config.num_negatives, len(images.tokens) - 1)
        others = draw_others(owner, len(images.tokens), count, generator)
        columns = torch.cat([owner[:, None], others], 1).unbind(1)
        scores = torch.stack([self.match(self.join(texts, images[column])) for column in columns], 1)
        own = torch.zeros(len(scores), dtype=torch.long, device=scores.device)
        return Step({"ranking": F.cross_entropy(scores, own)}, counts={"ranking": len(scores)})

    def after_step(self, step: Step) -> None:
        """Nothing to do: gradients train all of it."""
