"""Training for equal minutes: how many steps fit, and what several seeds gave."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from showtell.recipes.launch import find_recipe
from showtell.runs.job import Job
from showtell.runs.settings import apply
from showtell.train.precision import autocast, settle

TRIED, STEPS = 24, 600
"""Steps that are timed, evenly over a run of so many: late ones of a curriculum cost more than early ones."""


def steps_within(minutes: float, recipe: str, data: Path, variants: Sequence[Sequence[str]]) -> list[int]:
    """The steps that so many minutes of processor time hold, for each of some settings of a recipe.

    By the mean of a batch and its gradients. They take turns, so that other work slows all of them alike, and
    each is the first as often, who fills caches that the others find filled.
    """
    jobs = [prepared(recipe, data, [*settings, f"train.steps={STEPS}"]) for settings in variants]
    seconds = list[list[float]]([] for _ in jobs)
    for part in range(TRIED + 1):
        for turn in range(len(jobs)):
            which = (part + turn) % len(jobs)
            seconds[which].append(_seconds(jobs[which], part * (STEPS - 1) // TRIED))
    # The first round sets up buffers.
    return [max(int(minutes * 60 / statistics.mean(some[1:])), 10) for some in seconds]


def prepared(recipe: str, data: Path, settings: Sequence[str]) -> Job:
    """A recipe with some settings, its data read."""
    build = find_recipe(recipe)
    dataset = apply(build(1), settings).read(data)
    return apply(build(dataset.num_training), settings).prepare(dataset, "cpu")


def _seconds(job: Job, index: int) -> float:
    """The processor time of one batch and its gradients."""
    precision = settle(job.run.train.precision, "cpu", Path(), False)
    began = time.process_time()
    with autocast(precision, "cpu"):
        step = job.system(job.load_batch(index))
    sum(job.system.loss_weights[name] * loss for name, loss in step.losses.items()).backward()
    job.system.zero_grad()
    return time.process_time() - began


def ablation(
    changes: Mapping[str, Sequence[str]],
    steps: Sequence[int],
    seeds: int,
    figures: Sequence[str],
    trained: Callable[[int, Sequence[str], int], Mapping[str, float]],
) -> Iterator[list[object]]:
    """A row per change: its name, its steps, and what `trained` gives for steps, settings and a seed."""
    for (name, settings), count in zip(changes.items(), steps, strict=True):
        found = [trained(count, settings, seed) for seed in range(seeds)]
        yield [name, count, *(mean_and_error([one[figure] for one in found]) for figure in figures)]


def mean_and_error(values: Sequence[float]) -> str:
    """The mean over seeds and its standard error, where there are several."""
    error = f" ± {statistics.stdev(values) / len(values) ** 0.5:.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{error}"
