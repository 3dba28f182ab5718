"""The density of a run's training images, which its checkpoint keeps: what is unlike them is said to be."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from showtell.data.features import FeatureCache
from showtell.datasets.encoded_captions import Split
from showtell.tasks.familiarity import Familiarity

CHUNK = 256
"""Images read at a time."""


def familiarity_of(splits: Mapping[str, Split]) -> dict[str, Tensor] | None:
    """Statistics of the features of `train`, its threshold from `val`.

    None where there is no frozen backbone, or images are too few to say anything.
    """
    training, held_out = splits["train"], splits["val"]
    cache = training.cache
    if (
        not isinstance(cache, FeatureCache)
        or cache.dtype == np.uint8
        or min(len(training), len(held_out)) < 20
    ):
        return None
    return Familiarity.fit(means(training), means(held_out)).tensors()


def means(split: Split) -> Tensor:
    """The mean of each image's tokens, `[M D]`."""
    rows = [split.rows[first : first + CHUNK] for first in range(0, len(split), CHUNK)]
    return torch.cat([split.cache.images(some).features.mean(1) for some in rows])
