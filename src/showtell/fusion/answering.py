"""Answers from fused pairs: one image with a question, or two with a statement about both.

    text | image_k -> encoder of pairs -> p_k;   [p_1 .. p_K] -> linear -> norm -> GELU -> linear -> answers

With several right answers, each to some degree, the loss is their binary cross-entropy; where one answer
excludes the others, cross-entropy.

Source: Kim et al. 2021, "ViLT", section 4.3; for soft targets, Teney et al. 2018, "Tips and Tricks for Visual
Question Answering", section 3.8; for two images, Chen et al. 2020, "UNITER", section 4.1, as "pair".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch, ImageBatch
from showtell.fusion.pairs import FusedPairs
from showtell.nn.class_names import ClassNames
from showtell.nn.linear import Linear
from showtell.nn.transformer import initialise
from showtell.protocols import Step


@dataclass(frozen=True)
class AnswererConfig(ClassNames):
    """What answers need to know: by default the 3,129 of VQA v2. A config inherits it first."""

    own: ClassVar = ("num_images", "exclusive", "num_modal_types")
    """Settings that follow from the data, not from the model that fine-tuning starts from."""
    num_classes: int = 3129
    num_images: int = 1
    """Images that a text is about; follows from the data."""
    exclusive: bool = False
    """Whether one answer excludes the others; follows from the data."""

    def __post_init__(self) -> None:
        super().__post_init__()
        types = getattr(self, "num_modal_types", self.num_images + 1)
        if types <= self.num_images:
            raise ValueError(f"{self.num_images} images have no modal type each, only {types}")

    def with_images(self, count: int, exclusive: bool) -> Self:
        """For texts about `count` images each, whose answers exclude each other or do not."""
        more: dict[str, Any] = {"num_images": count, "exclusive": exclusive}
        if hasattr(self, "num_modal_types"):
            more["num_modal_types"] = max(self.num_modal_types, count + 1)
        return replace(self, **more)


def answer_head(width: int, num_images: int, num_classes: int) -> nn.Sequential:
    """Logits from the vectors of `num_images` pairs side by side, by a hidden layer twice as wide."""
    hidden = width * max(num_images, 2)
    return nn.Sequential(
        Linear(width * num_images, hidden), nn.LayerNorm(hidden), nn.GELU(), Linear(hidden, num_classes)
    )


class PairAnswers(FusedPairs):
    """`PairAnswerer` and `Trainable` for a `PairEncoder` with a head called `classifier`."""

    heads: ClassVar[tuple[str, ...]] = ("classifier.",)
    loss_weights: ClassVar = {"answers": 1.0}
    config: Any
    fused_width: int
    image_types: ClassVar = ""
    """The parameter that holds the modal types, text first, where the system has those."""

    def make_answers(self) -> None:
        """The head, and what it says of the answers."""
        c = self.config
        self.class_names, self.num_images = c.class_names, c.num_images
        self.classifier: nn.Module = answer_head(self.fused_width, c.num_images, c.num_classes)
        self.classifier.apply(initialise)

    def adopted(self, name: str, tensor: Tensor) -> Tensor:
        """A parameter of a pretrained encoder, of this one's size: further images begin like the first."""
        if name != self.image_types:
            return tensor
        wanted = len(self.get_parameter(name))
        return torch.cat([tensor, tensor[1:2].expand(wanted, -1)])[:wanted]

    def answer(self, batch: Batch, generator: torch.Generator | None = None) -> Float[Tensor, "R K"]:
        """Logits of the answers of each text, of which `owner` is the first of its `num_images` images."""
        count, owner = self.config.num_images, batch.texts.owner
        if count == 1:
            return self.classifier(self.pair_vectors(batch, self.embed_images(batch, generator)))
        if owner is None:
            owner = count * torch.arange(len(batch.texts), device=batch.texts.ids.device)
        alone, vectors = replace(batch, texts=replace(batch.texts, owner=None)), []
        for place in range(count):
            images = ImageBatch(**{name: t[owner + place] for name, t in batch.images.tensors.items()})
            one = replace(alone, images=images)
            vectors.append(self.pair_vectors(one, self.embed_images(one, generator, place=place)))
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
