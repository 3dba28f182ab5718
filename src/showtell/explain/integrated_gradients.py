"""Integrated gradients: how much each pixel of an image moves a score away from that of a baseline.

    a_i = (x_i - b_i) * integral from 0 to 1 of  df(b + t (x - b)) / dx_i  dt,      sum_i a_i = f(x) - f(b)

The second equation, completeness, proves the attribution. It holds for each interval of the path too, and so
says where the integral needs more steps: from black, nearly all of a score's change happens in the first
tenth, where equal steps are too few, and too many later. The trapezoid rule begins with equal intervals;
those whose attributions miss the change of the score by most are halved until the whole is complete, and not
only because misses of both signs cancel.

Source: Sundararajan, Taly & Yan 2017, "Axiomatic Attribution for Deep Networks", section 3 and proposition 1.
They take 20 to 300 equal steps, and check completeness to 5 % (section 5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from showtell.progress import report

Score = Callable[[Tensor], Tensor]
"""Images `float32 [B 3 H W]` in 0..1 to one number each, `[B]`, with gradients of the pixels."""
STEPS = 50
TOLERANCE = 0.01
"""The completeness error allowed, as a share of the score's change."""
CANCELLED = 5
"""What the intervals may miss without regard to sign, in multiples of the tolerance, as a share of all the
ups and downs of the score along the path."""
LIMIT = 800
"""Steps after which an attribution is returned as it is."""
BATCH = 8
"""Images per forward and backward pass."""


@dataclass(frozen=True)
class Attribution:
    """A heat map with its proof."""

    heat: np.ndarray
    """`float64 [H W]`, summed over the channels, in the unit of the score: positive raises it."""
    score: float
    baseline_score: float
    steps: int
    """Intervals of the integral; one more gradient was computed."""
    error: float
    """The completeness error: what `heat` misses of the change of the score, as a share of that change."""


def integrated_gradients(
    score: Score,
    image: Tensor,
    baseline: Tensor,
    *,
    steps: int = STEPS,
    tolerance: float = TOLERANCE,
    limit: int = LIMIT,
) -> Attribution:
    """The attribution of a score to the pixels of an `image [3 H W]` in 0..1, against a like `baseline`."""
    if torch.equal(image, baseline):
        with torch.no_grad():
            same = float(score(image[None]))
        return Attribution(np.zeros(image.shape[1:]), same, same, 0, 0.0)
    path = _Path(score, image, baseline, limit)
    path.add(np.linspace(0, 1, steps + 1))
    while len(path.times) <= limit:
        missed = path.missed()
        if (
            abs(missed.sum()) <= tolerance * abs(path.change)
            and np.abs(missed).sum() <= CANCELLED * tolerance * path.variation
        ):
            break
        worst = np.argsort(-np.abs(missed))[: min(BATCH, limit + 1 - len(path.times))]
        path.add((path.times[worst] + path.times[worst + 1]) / 2, f"completeness error {path.error:.2%}")
    report("gradients, at most", len(path.times), len(path.times))
    return path.attribution()


class _Path:
    """The straight line from the baseline to the image: score and attribution at each time computed."""

    def __init__(self, score: Score, image: Tensor, baseline: Tensor, limit: int) -> None:
        self._score, self._baseline, self._difference = score, baseline, image - baseline
        self.times, self._most = np.empty(0), limit + 1
        self._scores = np.empty(0)
        self._slopes = np.empty((0, *image.shape[1:]), np.float32)

    def add(self, times: np.ndarray, note: str = "") -> None:
        """Compute some more times. How many follow is not known, so the progress is towards the most."""
        scores, slopes = [self._scores], [self._slopes]
        for some in np.array_split(times, -(-len(times) // BATCH)):
            t = torch.from_numpy(some).to(self._baseline)[:, None, None, None]
            pixels = (self._baseline + t * self._difference).requires_grad_()
            with torch.enable_grad():
                values = self._score(pixels)
                (gradient,) = torch.autograd.grad(values.sum(), pixels)
            scores.append(values.detach().double().cpu().numpy())
            slopes.append((gradient * self._difference).sum(1).cpu().numpy())
            done = sum(map(len, scores))
            report("gradients, at most", done, max(self._most, done + 1), note)
        times = np.concatenate([self.times, times])
        order = times.argsort()
        self.times = times[order]
        self._scores, self._slopes = np.concatenate(scores)[order], np.concatenate(slopes)[order]
        self._totals = self._slopes.sum((1, 2), dtype=np.float64)

    @property
    def change(self) -> float:
        """From the baseline's score to the image's."""
        return float(self._scores[-1] - self._scores[0])

    @property
    def variation(self) -> float:
        """All ups and downs of the score along the path."""
        return float(np.abs(np.diff(self._scores)).sum())

    def missed(self) -> np.ndarray:
        """What the attribution of each interval lacks of the change of the score over it."""
        sums = np.diff(self.times) * (self._totals[1:] + self._totals[:-1]) / 2
        return np.diff(self._scores) - sums

    @property
    def error(self) -> float:
        """What the whole attribution misses, as a share of the change."""
        missed = abs(float(self.missed().sum()))
        return missed / abs(self.change) if self.change else float(missed > 0)

    def attribution(self) -> Attribution:
        """The heat map that the trapezoid rule gives."""
        lengths = np.diff(self.times, prepend=0, append=1)
        heat = np.tensordot((lengths[1:] + lengths[:-1]) / 2, self._slopes, 1)
        first, last = float(self._scores[0]), float(self._scores[-1])
        return Attribution(heat, last, first, len(self.times) - 1, self.error)
