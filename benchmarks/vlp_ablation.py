"""Why the CNN matters: `vlp_mini` with one thing changed at a time, for equal minutes of training.

    python benchmarks/vlp_ablation.py --data TEXTS --minutes 10 [--seeds 3] [--only CHANGE]

Each variant trains for the same minutes of processor time: the steps that fit are measured first. All read
the same held-out texts, drawn alike, with masks and without: mean and standard error over the seeds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from showtell.data.images.render.fonts import fonts
from showtell.datasets.rendered_texts import divide_fonts
from showtell.device import has_bfloat16
from showtell.pipelines.model import load_model
from showtell.recipes.launch import find_recipe, train_model
from showtell.runs.settings import apply
from showtell.train.precision import autocast
from table import command, table

CHANGES: Mapping[str, Sequence[str]] = {
    "vlp_mini": [],
    "patches without a CNN": ["system.backbone=patches_16x8"],
    "1-D positions": ["system.positions=sine"],
    "nothing masked": ["mask_rate=0"],
    "whole words masked": ["whole_words=true"],
    "reconstruction": ["system.pixel_weight=10"],
    "not taught to point": ["system.pointing_weight=0"],
    "not taught letters": ["system.letters_weight=0"],
    "decoder halved": ["system.dec_div=2"],
    "no encoder": ["system.structure=decoder"],
    "no curriculum": ["curriculum=50", "shares=1"],
}
FIGURES = ("loss", "accuracy", "masked_accuracy", "cer")
TRIED = 8
"""Steps of each stage by which the time of a step is measured."""


def seconds_per_step(data: Path, settings: Sequence[str]) -> float:
    """Mean over the curriculum, of the steps alone, in processor time of one batch after another."""
    run = apply(find_recipe("vlp_mini")(10**6), [*settings, "train.steps=600"])
    job = run.prepare(run.read(data), "cpu")
    times = []
    for part in range(TRIED * 3):
        index = part * run.train.steps // (TRIED * 3)
        began = time.process_time()
        with autocast("bf16" if has_bfloat16("cpu") else "float32", "cpu"):
            step = job.system(job.load_batch(index))
        sum(job.system.loss_weights[name] * loss for name, loss in step.losses.items()).backward()
        times.append(time.process_time() - began)
    return statistics.mean(times[1:])


def trained(
    data: Path, held_out: list[str], steps: int, settings: Sequence[str], seed: int
) -> dict[str, float]:
    """The figures after the last step, of documents that are held out."""
    often = ["train.validate_every=0", f"train.checkpoint_every={steps}"]
    sizes = [f"train.steps={steps}", f"train.warmup_steps={min(300, steps // 10)}"]
    with tempfile.TemporaryDirectory() as folder:
        train_model("vlp_mini", data, Path(folder) / "run", [*settings, *often, *sizes], seed=seed)
        model = load_model(Path(folder) / "run", "cpu")
    among = divide_fonts(fonts())[0]
    figures = find_recipe("vlp_mini")(10**6).measure(held_out, model.tokenizer, among)
    with torch.inference_mode():
        return figures(model.system)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=CHANGES, action="append")
    options = parser.parse_args()
    command()
    held_out = [*find_recipe("vlp_mini")(10**6).read(options.data).validation]
    rows = []
    for name in options.only or CHANGES:
        settings = CHANGES[name]
        steps = max(int(options.minutes * 60 / seconds_per_step(options.data, settings)), 3)
        found = [trained(options.data, held_out, steps, settings, seed) for seed in range(options.seeds)]
        cells = []
        for figure in FIGURES:
            values = [one[figure] for one in found]
            error = f" ± {statistics.stdev(values) / len(values) ** 0.5:.3f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.3f}{error}")
        rows.append([name, steps, *cells])
    names = ["variant", "steps", "loss", "accuracy", "accuracy, masked", "cer"]
    table(names, rows)


if __name__ == "__main__":
    main()
