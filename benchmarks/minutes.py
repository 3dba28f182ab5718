"""Training for equal minutes: how many steps fit, and what several seeds gave."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from showtell.recipes.launch import find_recipe
from showtell.runs.settings import apply
from showtell.train.precision import autocast, settle

TRIED, STEPS = 24, 600
"""Steps that are timed, evenly over a run of so many: late ones of a curriculum cost more than early ones."""


def steps_within(minutes: float, recipe: str, data: Path, settings: Sequence[str]) -> int:
    """The steps that so many minutes of processor time hold, by the mean of a batch and its gradients."""
    build = find_recipe(recipe)
    first = apply(build(1), settings)
    dataset = first.read(data)
    job = apply(build(dataset.num_training), [*settings, f"train.steps={STEPS}"]).prepare(dataset, "cpu")
    precision = settle(job.run.train.precision, "cpu", Path(), False)
    times = []
    for part in range(TRIED + 1):
        began = time.process_time()
        with autocast(precision, "cpu"):
            step = job.system(job.load_batch(part * (STEPS - 1) // TRIED))
        sum(job.system.loss_weights[name] * loss for name, loss in step.losses.items()).backward()
        times.append(time.process_time() - began)
    return max(int(minutes * 60 / statistics.mean(times[1:])), 10)  # the first call sets up buffers


def mean_and_error(values: Sequence[float]) -> str:
    """The mean over seeds and its standard error, where there are several."""
    error = f" ± {statistics.stdev(values) / len(values) ** 0.5:.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{error}"
