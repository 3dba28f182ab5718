"""Collapse of self-supervised training: figures of the features, and a monitor that raises the alarm.

A network has collapsed when it maps all images to nearly the same vector. Measure where the loss compares
views (a system's `project`): the backbone before it collapses much later. All figures are of features
divided by their length.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Health:
    """Figures of the features of two views of the same images."""

    std: float
    """Mean standard deviation of a coordinate, times `sqrt(D)`: 1 when directions are spread evenly, 0
    when all are equal. Source: Chen & He 2021, "SimSiam", section 4.1."""
    effective_rank: float
    """Effective number of directions in use, `1..D`."""
    alignment: float
    """Mean squared distance between two views of an image; 0 at best."""
    uniformity: float
    """Logarithm of the mean of `exp(-2 distance^2)` over pairs of images; 0 when all are equal."""


def health(first: Tensor, second: Tensor) -> Health:
    """The figures of the features `[B D]` of two views of `B` images, at least two."""
    one, other = (F.normalize(features.detach().double(), dim=1) for features in (first, second))
    return Health(
        std=float(one.std(0).mean() * one.shape[1] ** 0.5),
        effective_rank=effective_rank(one),
        alignment=float((one - other).square().sum(1).mean()),
        uniformity=float(torch.pdist(one).square().mul(-2).exp().mean().log()),
    )


def effective_rank(features: Tensor) -> float:
    """`exp` of the entropy of the eigenvalues of `features^T features`, which sum to 1; `features [B D]`.

    The mean is not subtracted, so features that are all equal have rank 1, whatever noise is left.

    Source: Roy & Vetterli 2007, "The effective rank", of the matrix of second moments.
    """
    energy = torch.linalg.svdvals(features).square()
    shares = energy / energy.sum()
    return float(torch.exp(-torch.xlogy(shares, shares).sum()))


class CollapseMonitor:
    """Watches the health of a run and raises the alarm when it has collapsed.

    That is when the effective rank is below `rank_floor` in `patience` consecutive readings. In
    `tests/explain/test_collapse.py` healthy runs of all three methods stay above 3; without the stop-gradient
    a run falls below 2 within 100 steps.
    """

    def __init__(self, rank_floor: float = 2.0, patience: int = 2) -> None:
        self.rank_floor, self.patience = rank_floor, patience
        self.history: list[tuple[int, Health]] = []
        """Step and health of each reading."""

    def read(self, step: int, first: Tensor, second: Tensor) -> Health:
        """Record the health of features `[B D]` of two views of the same images after `step`."""
        self.history.append((step, health(first, second)))
        return self.history[-1][1]

    @property
    def collapsed(self) -> bool:
        """Whether the last `patience` readings are all below the floor."""
        last = self.history[-self.patience :]
        # Features that are all zero have a rank of NaN, which counts as collapsed.
        return len(last) == self.patience and not any(h.effective_rank >= self.rank_floor for _, h in last)

    def verdict(self) -> str:
        """The last reading, as a sentence."""
        if not self.history:
            return "nothing has been read yet"
        step, last = self.history[-1]
        figures = (
            f"at step {step} features vary by {last.std:.2f} of what an even spread would and fill "
            f"{last.effective_rank:.1f} directions"
        )
        return f"the run has collapsed: {figures}" if self.collapsed else figures
