"""What pretraining on pairs gains from each of its parts: one changed at a time, for equal minutes.

    python benchmarks/fusion_ablation.py --data CAPTIONS --minutes 10 [--recipe vilt_mini] [--seeds 3]

Each variant trains for the same minutes of processor time: the steps that fit are measured first. Figures are
those of the validation after the last step, mean and standard error over the seeds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from showtell.checkpoint.load import load_checkpoint
from showtell.recipes.launch import find_recipe, train_model
from showtell.runs.settings import apply
from showtell.train.precision import autocast, settle
from table import command, table

CHANGES: Mapping[str, Sequence[str]] = {
    "as the recipe": [],
    "tokens masked, not words": ["whole_words=false"],
    "no word-patch alignment": ["system.alignment=0"],
    "RandAugment": ["augment=true"],
    "hard negatives": ["system.candidates=4"],
    "masked patches": ["system.masked_images=1"],
}
FIGURES = ("recall1", "image_recall1", "itm", "mlm")
TRIED = 8
"""Steps by which the time of a step is measured."""


def seconds_per_step(recipe: str, data: Path, settings: Sequence[str]) -> float:
    """Mean processor time of a batch and its gradients, after one that is not timed."""
    run = apply(find_recipe(recipe)(10**6), settings)
    job = run.prepare(run.read(data), "cpu")
    precision = settle(job.run.train.precision, "cpu", Path(), False)
    times = []
    for index in range(TRIED + 1):
        began = time.process_time()
        with autocast(precision, "cpu"):
            step = job.system(job.load_batch(index))
        sum(job.system.loss_weights[name] * loss for name, loss in step.losses.items()).backward()
        times.append(time.process_time() - began)
    return statistics.mean(times[1:])


def trained(recipe: str, data: Path, steps: int, settings: Sequence[str], seed: int) -> dict[str, float]:
    """The figures of the validation after the last step."""
    often = [f"train.validate_every={steps}", f"train.checkpoint_every={steps}"]
    sizes = [f"train.steps={steps}", f"train.warmup_steps={steps // 10}"]
    with tempfile.TemporaryDirectory() as folder:
        train_model(recipe, data, Path(folder) / "run", [*settings, *often, *sizes], seed=seed, device="cpu")
        return load_checkpoint(Path(folder) / "run").record["validation"]


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", default="vilt_mini")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=CHANGES, action="append")
    parser.add_argument("--set", action="append", default=[], help="a setting of every variant")
    options = parser.parse_args()
    command()
    rows = []
    for name in options.only or CHANGES:
        settings = [*options.set, *CHANGES[name]]
        seconds = seconds_per_step(options.recipe, options.data, settings)
        steps = max(int(options.minutes * 60 / seconds), 10)
        found = [trained(options.recipe, options.data, steps, settings, s) for s in range(options.seeds)]
        cells = []
        for figure in FIGURES:
            values = [one[figure] for one in found]
            error = f" ± {statistics.stdev(values) / len(values) ** 0.5:.3f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.3f}{error}")
        rows.append([name, steps, *cells])
    table(["variant", "steps", *FIGURES], rows)


if __name__ == "__main__":
    main()
