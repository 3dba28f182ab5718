"""What pretraining on pairs gains from each of its parts: one changed at a time, for equal minutes or steps.

    python benchmarks/fusion_ablation.py --data CAPTIONS --minutes 10 [--recipe vilt_mini] [--seeds 3]
    python benchmarks/fusion_ablation.py --drawn EASY_VQA --steps 1200

Each variant trains for the same minutes of processor time, whose steps are measured first, or for the same
`--steps`, as the paper's ablation does. Figures are those of the recipe's own validation after the last step,
with the same masks and negatives for all, mean and standard error over the seeds. `--drawn` makes captions of
easy-VQA's drawings from their answers ("there is a triangle that is blue"), of a vocabulary of pieces, for a
ViLT of the size that answers its questions: minutes suffice for those. Two dozen captions describe all
drawings, so some of another image fit too.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from minutes import ablation, prepared, steps_within
from showtell.checkpoint.load import load_checkpoint
from showtell.data.qa.examples import images_of
from showtell.data.qa.read import read_examples
from showtell.recipes.launch import train_model
from showtell.recipes.vqa import MINI
from showtell.runs.job import Job
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
SIZES = ("width", "depth", "num_heads", "mlp_dim", "image_size", "patch_size")
SMALL = (*(f"system.{name}={getattr(MINI, name)}" for name in SIZES), "vocabulary.vocab_size=60")
"""As `vqa_vilt`; with so few tokens the names of colours and shapes are several pieces each."""
SHAPES = ("circle", "rectangle", "triangle")
TEMPLATES = (
    "a {colour} {shape}",
    "there is a {shape} that is {colour}",
    "the {shape} in this image is {colour}",
)


def write_captions(easy_vqa: Path, table: Path) -> None:
    """Captions of the training drawings from what is answered of them; the last 400 are for validation."""
    told = defaultdict[Path, dict[str, str]](dict)
    for asked in read_examples(easy_vqa / "train.jsonl").splits["train"]:
        (image,), (answer,) = images_of(asked), asked.labels
        if answer not in ("yes", "no"):
            told[image]["shape" if answer in SHAPES else "colour"] = answer
    whole = [(image, words) for image, words in told.items() if len(words) == 2]
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "caption", "split"])
        for place, (image, words) in enumerate(whole):
            split = "val" if place >= len(whole) - 400 else "train"
            rows.writerows([image, text.format(**words), split] for text in TEMPLATES)


def trained(
    recipe: str, data: Path, same: Job, steps: int, settings: Sequence[str], seed: int
) -> dict[str, float]:
    """The figures after the last step, by the validation of `same`, which all variants share."""
    often = ["train.validate_every=0", f"train.checkpoint_every={steps}"]
    sizes = [f"train.steps={steps}", f"train.warmup_steps={steps // 10}"]
    with tempfile.TemporaryDirectory() as folder:
        train_model(recipe, data, Path(folder) / "run", [*settings, *often, *sizes], seed=seed, device="cpu")
        parameters = load_checkpoint(Path(folder) / "run").system.state_dict()
    assert same.validate is not None
    same.system.load_state_dict({name: parameters[name] for name in same.system.state_dict()})
    with torch.inference_mode():
        return dict(same.validate(same.system.eval()))


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path)
    source.add_argument("--drawn", type=Path, metavar="EASY_VQA")
    parser.add_argument("--recipe", default="vilt_mini")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=10)
    length.add_argument("--steps", type=int, help="in place of minutes")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=CHANGES, action="append")
    parser.add_argument("--set", action="append", default=[], help="a setting of every variant")
    options = parser.parse_args()
    command()
    with tempfile.TemporaryDirectory() as folder:
        data, own = options.data, options.set
        if options.drawn:
            data, own = Path(folder) / "captions.csv", [*SMALL, *options.set]
            write_captions(options.drawn.resolve(), data)
        changes = {name: [*own, *CHANGES[name]] for name in options.only or CHANGES}
        steps = [options.steps] * len(changes)
        if options.steps is None:
            steps = steps_within(options.minutes, options.recipe, data, [*changes.values()])
        job = prepared(options.recipe, data, own)
        rows = ablation(changes, steps, options.seeds, FIGURES, partial(trained, options.recipe, data, job))
        table(["variant", "steps", *FIGURES], rows)


if __name__ == "__main__":
    main()
