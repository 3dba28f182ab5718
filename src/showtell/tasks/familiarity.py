"""How much an image looks like the training images: the density of its features under theirs.

    x = f / |f|,  f the mean of the backbone's tokens
    distance(x) = sum_i ((x - m) . v_i)^2 / l_i + (what is left of |x - m|^2) / s^2

`m`, `v_i`, `l_i` are the mean and the leading principal components of the training images, `s^2` the mean
variance of the others: twice the negative log-density of probabilistic PCA, but for a constant.

Source: Tipping & Bishop 1999, "Probabilistic Principal Component Analysis", section 3.2; Lee et al. 2018, "A
Simple Unified Framework for Detecting Out-of-Distribution Samples", section 2.1, as one class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

COMPONENTS = 64
FALSE_ALARMS = 0.05
"""The share of held-out images that may be called unfamiliar."""
MARGIN = 1.1
"""Training images are often small copies, and a person's are not, which costs a tenth of the distance: of 120
photographs of Flickr8k at their own size, 0.19 were beyond the threshold without it, 0.05 with it."""


@dataclass(frozen=True)
class Familiarity:
    """The density of one set of training images."""

    mean: Float[Tensor, " D"]
    components: Float[Tensor, "K D"]
    variances: Float[Tensor, " K"]
    rest: Float[Tensor, ""]
    """`s^2`."""
    threshold: Float[Tensor, ""]
    """The distance from which an image is unfamiliar."""

    @classmethod
    def fit(cls, training: Float[Tensor, "M D"], held_out: Float[Tensor, "V D"]) -> Familiarity:
        """The density of the training images; the threshold from images that were held out."""
        unit = F.normalize(training.double(), dim=-1)
        mean = unit.mean(0)
        centred = unit - mean
        variances, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
        count = min(COMPONENTS, len(training) - 1, len(mean) - 1)
        rest = variances[:-count].clamp(min=0).mean().clamp(min=1e-9)
        fitted = cls(
            mean.float(),
            vectors[:, -count:].T.float().contiguous(),
            variances[-count:].clamp(min=1e-9).float(),
            rest.float(),
            torch.ones(()),
        )
        limit = MARGIN * fitted.distance(held_out).quantile(1 - FALSE_ALARMS)
        return cls(**{**asdict(fitted), "threshold": limit})

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Familiarity:
        """From the tensors of a file. Raises `TypeError` for others."""
        return cls(**{name: tensor.float() for name, tensor in tensors.items()})

    def tensors(self) -> dict[str, Tensor]:
        """For a file: the components, which are most of it, in half precision."""
        return {**asdict(self), "components": self.components.half()}

    def distance(self, features: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
        """From the training images."""
        away = F.normalize(features.float(), dim=-1) - self.mean
        along = away @ self.components.T
        left = (away.square().sum(1) - along.square().sum(1)).clamp(min=0)
        return (along.square() / self.variances).sum(1) + left / self.rest

    def __call__(self, features: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
        """The threshold over the distance: below 1, an image is unlike the training images."""
        return self.threshold / self.distance(features).clamp(min=1e-9)
