"""Why the CNN matters: `vlp_mini` with one thing changed at a time, for equal minutes of training.

    python benchmarks/vlp_ablation.py --data TEXTS --minutes 10 [--seeds 3] [--only CHANGE]

Each variant trains for the same minutes of processor time, on texts of at most 8 tokens, which are read
after minutes: the steps that fit are measured first. All read the same 400 held-out texts, drawn alike, with
masks and without: mean and standard error over the seeds.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from minutes import ablation, steps_within
from showtell.data.images.render.fonts import fonts
from showtell.datasets.rendered_texts import divide_fonts
from showtell.pipelines.model import load_model
from showtell.recipes.launch import find_recipe, train_model
from showtell.runs.settings import apply
from table import command, table

SMALL = ("canvas=64,192", "curriculum=8", "shares=1", "train.precision=auto")
"""Texts of a line or two: they are read after minutes, which pages are not."""
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
}
FIGURES = ("loss", "accuracy", "masked_accuracy", "cer")
TEXTS = 400
"""That are held out."""


def trained(
    data: Path, held_out: list[str], steps: int, settings: Sequence[str], seed: int
) -> dict[str, float]:
    """The figures after the last step, of documents that are held out, with 15 % of their tokens masked."""
    often = ["train.validate_every=0", f"train.checkpoint_every={steps}"]
    sizes = [f"train.steps={steps}", f"train.warmup_steps={min(300, steps // 10)}"]
    with tempfile.TemporaryDirectory() as folder:
        train_model("vlp_mini", data, Path(folder) / "run", [*settings, *often, *sizes], seed=seed)
        model = load_model(Path(folder) / "run", "cpu")
    same = apply(find_recipe("vlp_mini")(10**6), SMALL)
    figures = same.measure(held_out, model.tokenizer, divide_fonts(fonts())[0], count=TEXTS)
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
    changes = {name: [*SMALL, *CHANGES[name]] for name in options.only or CHANGES}
    steps = steps_within(options.minutes, "vlp_mini", options.data, [*changes.values()])
    rows = ablation(changes, steps, options.seeds, FIGURES, partial(trained, options.data, held_out))
    table(["variant", "steps", "loss", "accuracy", "accuracy, masked", "cer"], rows)


if __name__ == "__main__":
    main()
