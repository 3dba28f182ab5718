"""What an image shows, by the classes that the frozen backbone was trained on; and whether it looks like the
images that the model was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from showtell.pipelines.model import Model
from showtell.protocols import Encoded

LEAST = 0.05
"""Tags of a lower probability are left out."""


@dataclass(frozen=True)
class Tag:
    """A class of the backbone, such as ImageNet's, and its probability."""

    label: str
    probability: float


@dataclass(frozen=True)
class Sight:
    """What can be said of an image before any caption."""

    tags: list[Tag]
    """The most probable first; none of a backbone without classes."""
    familiarity: float | None
    """Below 1 the image is unlike the training images; None where the model knows nothing of them."""

    @property
    def familiar(self) -> bool | None:
        """Whether the image looks like the training images."""
        return None if self.familiarity is None else self.familiarity >= 1


def sights(model: Model, encoded: Encoded, num: int = 5) -> list[Sight]:
    """Of each encoded image, up to `num` tags and its familiarity."""
    features = None if encoded.features is None else encoded.features.cpu()
    if features is None:
        return [Sight([], None) for _ in encoded.pooled]
    near = model.familiarity(features).tolist() if model.familiarity else [None] * len(features)
    return [Sight(tags, one) for tags, one in zip(_tags(model, features, num), near, strict=True)]


def _tags(model: Model, features: Tensor, num: int) -> list[list[Tag]]:
    backbone = model.image_input.backbone if model.image_input else None
    if backbone is None or backbone.logits is None:
        return [[] for _ in features]
    best = backbone.logits(features).softmax(1).topk(min(num, len(backbone.classes)))
    return [
        [Tag(backbone.classes[i], p) for p, i in zip(row, places, strict=True) if p >= LEAST]
        for row, places in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]
