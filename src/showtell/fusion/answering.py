"""Answers from fused pairs: one image with a question, or two with a statement about both.

    text | image_k -> encoder of pairs -> p_k;   [p_1 .. p_K] -> linear -> norm -> GELU -> linear -> answers

With several right answers, each to some degree, the loss is their binary cross-entropy; where one answer
excludes the others, cross-entropy.

Source: Kim et al. 2021, "ViLT", section 4.3; for soft targets, Teney et al. 2018, "Tips and Tricks for Visual
Question Answering", section 3.8; for two images, Chen et al. 2020, "UNITER", section 4.1, as "pair".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch, ImageBatch
from showtell.nn.linear import Linear
from showtell.protocols import Encoded, Step


def answer_head(width: int, num_images: int, num_classes: int) -> nn.Sequential:
    """Logits from the vectors of `num_images` pairs side by side, by a hidden layer twice as wide."""
    hidden = width * max(num_images, 2)
    return nn.Sequential(
        Linear(width * num_images, hidden), nn.LayerNorm(hidden), nn.GELU(), Linear(hidden, num_classes)
    )


class PairAnswers(nn.Module):
    """`PairAnswerer` and `Trainable` for a `PairEncoder` with a head called `classifier`."""

    heads: ClassVar = ("classifier.",)
    loss_weights: ClassVar = {"answers": 1.0}
    config: Any
    classifier: nn.Module

    def embed_images(
        self, batch: Batch, generator: torch.Generator | None = None, *, place: int = 0
    ) -> Encoded:
        """The `B` images before they meet a text."""
        raise NotImplementedError

    def fuse(self, batch: Batch, images: Encoded | None = None) -> Encoded:
        """Each text with its image."""
        raise NotImplementedError

    def answer(self, batch: Batch, generator: torch.Generator | None = None) -> Float[Tensor, "R K"]:
        """Logits of the answers of each text, of which `owner` is the first of its `num_images` images."""
        count, owner = self.config.num_images, batch.texts.owner
        if count == 1:
            pooled = self.fuse(batch, self.embed_images(batch, generator)).pooled
            return self.classifier(pooled)
        if owner is None:
            owner = count * torch.arange(len(batch.texts), device=batch.texts.ids.device)
        alone, vectors = replace(batch, texts=replace(batch.texts, owner=None)), []
        for place in range(count):
            images = ImageBatch(**{name: t[owner + place] for name, t in batch.images.tensors.items()})
            one = replace(alone, images=images)
            vectors.append(self.fuse(one, self.embed_images(one, generator, place=place)).pooled)
        return self.classifier(torch.cat(vectors, 1))

    def probabilities(self, logits: Float[Tensor, "R K"]) -> Float[Tensor, "R K"]:
        """Of each answer: they add up to 1 where one excludes the others."""
        return logits.softmax(1) if self.config.exclusive else logits.sigmoid()

    def answer_loss(self, logits: Float[Tensor, "R K"], scores: Float[Tensor, "R K"]) -> Float[Tensor, ""]:
        """Cross-entropy summed over the answers, its mean over the texts."""
        if self.config.exclusive:
            return F.cross_entropy(logits, scores)
        return F.binary_cross_entropy_with_logits(logits, scores) * scores.shape[1]

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """The loss of the answers, against the score of each."""
        return Step({"answers": self.answer_loss(self.answer(batch, generator), batch.targets.scores)})

    def after_step(self, step: Step) -> None:
        """Nothing to do: gradients train all of it."""
