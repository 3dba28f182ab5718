"""What the best of some images scores for a text that describes none of them.

    s ~ N(m, d^2) for a text and an image that do not belong together
    P(best of n <= m + d z) = 1/2  where  z = inverse normal CDF of 2^(-1/n)

`m` and `d` are those of validation images. Real scores have a heavier tail, since some images nearly fit a
text of another: a best score below this is no better than chance, one above it need not be right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Chance:
    """The cosines of texts and images that do not belong together."""

    mean: float
    deviation: float

    @classmethod
    def of(
        cls, images: Float[Tensor, "B D"], texts: Float[Tensor, "R D"], owner: Int[Tensor, " R"]
    ) -> Chance | None:
        """Of unit vectors; text `r` describes image `owner[r]`, and no other. None of a single image."""
        scores = texts @ images.T
        others = scores[torch.arange(len(images)) != owner[:, None]]
        return cls(float(others.mean()), float(others.std())) if len(others) > 1 else None

    @classmethod
    def recorded(cls, figures: Mapping[str, float]) -> Chance | None:
        """From the figures of a validation; None where they do not say it."""
        names = ("mismatched_mean", "mismatched_deviation")
        return cls(*(figures[name] for name in names)) if figures.keys() >= set(names) else None

    def best_of(self, number: int) -> float:
        """The median score of the best of so many images.

        >>> round(Chance(0.0, 1.0).best_of(1), 6), round(Chance(0.0, 0.1).best_of(1000), 3)
        (0.0, 0.32)
        """
        return self.mean + self.deviation * NormalDist().inv_cdf(0.5 ** (1 / number))
