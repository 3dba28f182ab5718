"""The deletion curve: how fast a score falls when the parts of an image that explain it are removed.

    S(k) = f(image with its k most attributed patches replaced by the baseline),  k = 0 .. N

A heat map that names what the model looks at has a lower curve than patches removed in a random order.

Source: Petsiuk et al. 2018, "RISE: Randomized Input Sampling for Explanation of Black-box Models", section
4.2. The replaced unit is a patch instead of a pixel: single pixels leave an image that can still be seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Score = Callable[[Tensor], Tensor]
"""Images `float32 [B 3 H W]` in 0..1 to one number each, `[B]`, with gradients of the pixels."""
STEPS = 14
"""Points of a curve after the first."""
ORDERS = 5
"""Random orders that a heat map's is compared with."""
BATCH = 14


@dataclass(frozen=True)
class Deletion:
    """Scores while patches are removed, by attribution and at random. Areas are the means of the curves."""

    removed: list[float]
    """Share of the patches that are replaced, 0 to 1."""
    attributed: list[float]
    """The score without the most attributed ones."""
    random: list[float]
    """The mean score over random orders."""
    area: float
    """Under `attributed`, in the unit of the score: lower is better."""
    random_area: float
    """The mean area over random orders."""
    random_deviation: float
    """The standard deviation of a random order's area."""


def deletion(
    score: Score, image: Tensor, baseline: Tensor, heat: np.ndarray, patches: np.ndarray, seed: int = 0
) -> Deletion:
    """The curves of a heat map `[H W]` of an `image [3 H W]`, patches replaced by those of `baseline`.

    `patches`, `int64 [H W]`, is the patch of each pixel, from 0.
    """
    sums = patch_sums(heat, patches)
    rng = np.random.default_rng(seed)
    by_heat = np.argsort(-sums, kind="stable")
    orders = np.stack([by_heat, *(rng.permutation(len(sums)) for _ in range(ORDERS))])
    counts = np.linspace(0, len(sums), STEPS + 1).round().astype(int)
    curves = np.stack([_curve(score, image, baseline, order, counts, patches) for order in orders])
    removed = counts / len(sums)
    areas = np.trapezoid(curves, removed, axis=1)
    return Deletion(
        removed=removed.tolist(),
        attributed=curves[0].tolist(),
        random=curves[1:].mean(0).tolist(),
        area=float(areas[0]),
        random_area=float(areas[1:].mean()),
        random_deviation=float(areas[1:].std(ddof=1)),
    )


def patch_sums(heat: np.ndarray, patches: np.ndarray) -> np.ndarray:
    """A heat map `[H W]` summed over each of its patches, `float64 [P]`.

    >>> patch_sums(np.ones((2, 3)), np.array([[0, 1, 1], [0, 2, 2]])).tolist()
    [2.0, 2.0, 2.0]
    """
    return np.bincount(patches.ravel(), heat.ravel())


@torch.no_grad()
def _curve(
    score: Score, image: Tensor, baseline: Tensor, order: np.ndarray, counts: np.ndarray, patches: np.ndarray
) -> np.ndarray:
    """The score without the first `counts` patches of `order`."""
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    ranks = torch.from_numpy(rank[patches]).to(image.device)
    scores = []
    for some in torch.from_numpy(counts).to(image.device).split(BATCH):
        removed = ranks < some[:, None, None]
        scores.append(score(torch.where(removed[:, None], baseline, image)))
    return torch.cat(scores).double().cpu().numpy()
