"""Learning rate schedules."""

from __future__ import annotations

import math

from showtell.train.config import TrainConfig

ONE_CYCLE_START, ONE_CYCLE_END = 1 / 25, 1e-5


def _between(start: float, end: float, done: float) -> float:
    """From `start` to `end` along half a cosine; `done` is in 0..1."""
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


def learning_rate(config: TrainConfig, step: int) -> float:
    """The learning rate of update `step`, counted from 0. A pure function: resuming needs no state for it.

    All schedules warm up for `warmup_steps`: linearly from 0, `one_cycle` along half a cosine from 1/25 of
    the peak. Then `cosine` and `linear` fall to 0, `one_cycle` to 1e-5 of the peak, `constant` stays.

    Source: Loshchilov & Hutter 2017, "SGDR", equation 5 without restarts; Smith & Topin 2018,
    "Super-convergence", with fastai's cosine annealing.

    >>> config = TrainConfig(steps=100, warmup_steps=10, learning_rate=1.0, schedule="linear")
    >>> [round(learning_rate(config, step), 2) for step in (0, 9, 10, 55, 99)]
    [0.1, 1.0, 1.0, 0.5, 0.01]
    """
    peak, warmup = config.learning_rate, config.warmup_steps
    one_cycle = config.schedule == "one_cycle"
    if step < warmup:
        done = (step + 1) / warmup
        return peak * (_between(ONE_CYCLE_START, 1, done) if one_cycle else done)
    done = (step - warmup) / max(config.steps - warmup, 1)
    match config.schedule:
        case "constant":
            return peak
        case "linear":
            return peak * (1 - done)
        case "cosine":
            return peak * _between(1, 0, done)
        case "one_cycle":
            return peak * _between(1, ONE_CYCLE_END, done)
