"""The score below which the best of some images is no better than chance.

    u ~ N(m, d^2) for a text and an image that do not belong together, v ~ N(m', d'^2) for those that do
    P(v and n - 1 of u <= t) = 0.05

`m, d, m', d'` are those of validation images. So 0.05 of the searches that have an image to find are told,
wrongly, that nothing is alike. The larger a library, the more often one of its images nearly fits any text,
and the fewer of the searches that have nothing to find are recognised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import NormalDist

import torch
from jaxtyping import Float, Int
from torch import Tensor

FALSE_ALARMS = 0.05


@dataclass(frozen=True)
class Chance:
    """The cosines of texts with images: those that do not belong together, and those that do."""

    mismatched_mean: float
    mismatched_deviation: float
    matched_mean: float
    matched_deviation: float

    @classmethod
    def of(
        cls, images: Float[Tensor, "B D"], texts: Float[Tensor, "R D"], owner: Int[Tensor, " R"]
    ) -> Chance | None:
        """Of unit vectors; text `r` describes image `owner[r]`, and no other. None of a single image."""
        if len(images) < 2:
            return None
        scores = texts @ images.T
        own = torch.arange(len(images)) == owner[:, None]
        others, matched = scores[~own], scores[own]
        return cls(float(others.mean()), float(others.std()), float(matched.mean()), float(matched.std()))

    @classmethod
    def recorded(cls, figures: Mapping[str, float]) -> Chance | None:
        """From the figures of a validation; None where they do not say it."""
        names = cls.__dataclass_fields__
        return cls(**{name: figures[name] for name in names}) if figures.keys() >= set(names) else None

    def figures(self) -> dict[str, float]:
        """For the figures of a validation."""
        return asdict(self)

    def threshold(self, number: int) -> float:
        """The score that the best of so many images, one of which fits, exceeds but for `FALSE_ALARMS`.

        >>> chance = Chance(0.0, 0.1, 0.4, 0.1)
        >>> [round(chance.threshold(number), 3) for number in (1, 100, 10_000)]
        [0.236, 0.259, 0.356]
        """
        others = NormalDist(self.mismatched_mean, self.mismatched_deviation)
        fitting = NormalDist(self.matched_mean, self.matched_deviation)
        low, high = -1.0, 1.0
        while high - low > 1e-9:
            middle = (low + high) / 2
            below = fitting.cdf(middle) * others.cdf(middle) ** (number - 1)
            low, high = (middle, high) if below < FALSE_ALARMS else (low, middle)
        return low
