"""What pretraining on pairs gains from each of its parts: one changed at a time, for equal minutes.

    python benchmarks/fusion_ablation.py --data CAPTIONS --minutes 10 [--recipe vilt_mini] [--seeds 3]

Each variant trains for the same minutes of processor time: the steps that fit are measured first. Figures are
those of the validation after the last step, mean and standard error over the seeds.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from minutes import ablation, steps_within
from showtell.checkpoint.load import load_checkpoint
from showtell.recipes.launch import train_model
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
    changes = {name: [*options.set, *CHANGES[name]] for name in options.only or CHANGES}
    steps = steps_within(options.minutes, options.recipe, options.data, [*changes.values()])
    rows = ablation(changes, steps, options.seeds, FIGURES, partial(trained, options.recipe, options.data))
    table(["variant", "steps", *FIGURES], rows)


if __name__ == "__main__":
    main()
