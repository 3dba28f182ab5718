"""The best of many by exact scores, of which only those are computed that approximate ones leave open."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

FEWEST = 16
"""Scores that are computed first, at least: the largest of so many deviations is a measure of the others."""


def exact_scores_of_the_best(rough: Tensor, exact: Callable[[list[int]], Tensor], top: int) -> Tensor:
    """Exact scores `[N]` of whatever can be among the `top` best, -inf for the rest.

        rough = exact + d          computed until  rough_i + 2 max |d| < t  for every other i

    `t` is the `top`-th best exact score so far, `max |d|` the largest deviation so far: no deviation is taken
    to be more than twice the largest of those measured, of 16 or more. A rough score that is no number leaves
    everything open. `exact` returns the scores of some indices.
    """
    scores, known = torch.full_like(rough, -torch.inf), torch.zeros_like(rough, dtype=torch.bool)
    wanted = rough.argsort(descending=True)[: max(2 * top, FEWEST)]
    while len(wanted):
        scores[wanted], known[wanted] = exact(wanted.tolist()), True
        margin = 2 * (scores - rough)[known].abs().max()
        bound = scores[known].sort(descending=True).values[: max(top, 1)][-1]
        wanted = (~(rough + margin < bound) & ~known).nonzero()[:, 0]
    return scores
