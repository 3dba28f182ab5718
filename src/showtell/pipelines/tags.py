"""What an image shows, by the classes that the frozen backbone was trained on; and whether it looks like the
images that the model was trained on.
"""

from __future__ import annotations

from torch import Tensor

from showtell.library.sight import Sight, Tag
from showtell.pipelines.model import Model
from showtell.protocols import Encoded

LEAST = 0.05
"""Tags of a lower probability are left out."""


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
