"""Fine-tuning of a reader of pixels beside one of tokens, on the same examples.

    python benchmarks/finetuning.py --data DATA [--vlp MODEL] [--bert MODEL] [--minutes 8] [--only TASK]
        [--set NAME=VALUE]

DATA holds `sst2/`, `nli/`, `tags/`, `squad/`. Without a model, that column is trained from scratch. Each
figure is that of the held-out examples after the last step of its recipe, or of equal minutes of processor
time for both, with its standard error by bootstrap over them;
`errors above chance` is how many of them the pixels are above always answering the most frequent class, or,
of questions on passages, above random spans.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from minutes import steps_within
from showtell.checkpoint.load import load_checkpoint
from showtell.recipes.launch import train_model
from table import command, table

TASKS = {
    "SST-2": ("classify", "sst2", ("accuracy", "f1")),
    "MNLI": ("entail", "nli/mnli", ("accuracy", "f1")),
    "EWT parts of speech": ("tag", "tags/ewt_pos", ("accuracy",)),
    "WNUT-17 entities": ("tag", "tags/wnut17", ("accuracy", "f1")),
    "XQuAD, English": ("answer", "squad/xquad_en", ("exact", "f1")),
    "XQuAD, Chinese": ("answer", "squad/xquad_zh", ("exact", "f1")),
}
"""The recipe's prefix, the data, and the figures."""


def trained(
    recipe: str, data: Path, model: str | None, settings: Sequence[str], minutes: float | None
) -> tuple[dict[str, Any], str]:
    """The figures of a run, what its checkpoint says of the data, and its steps and minutes."""
    settings = [*settings, "train.precision=auto"]
    if minutes:
        start = [f"model={model}"] if model else []
        (steps,) = steps_within(minutes, recipe, data, [[*start, *settings]])
        settings = [*settings, f"train.steps={steps}", f"train.warmup_steps={steps // 10}"]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        train_model(recipe, data, Path(folder) / "run", settings, model=model)
        record = load_checkpoint(Path(folder) / "run").record
    names = ("train", "val", "chance", "chance_f1")
    known = {**record["validation"], **{n: record["data"][n] for n in names if n in record["data"]}}
    return known, f"{record['settings']['train']['steps']} in {(time.monotonic() - began) / 60:.1f}"


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--vlp", help="a checkpoint that reads pixels")
    parser.add_argument("--bert", help="a checkpoint that reads tokens")
    parser.add_argument("--minutes", type=float, help="of each run; without, the steps of the recipe")
    parser.add_argument("--only", choices=TASKS, action="append")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="NAME=VALUE")
    options = parser.parse_args()
    command()

    def measured() -> Iterator[list[object]]:
        for task in options.only or TASKS:
            prefix, place, figures = TASKS[task]
            (pixels, drawn), (tokens, read) = (
                trained(f"{prefix}_{kind}", options.data / place, model, options.settings, options.minutes)
                for kind, model in (("vlp", options.vlp), ("bert", options.bert))
            )
            for figure in figures:
                both = [f"{one[figure]:.4f} ± {one[f'{figure}_se']:.4f}" for one in (pixels, tokens)]
                chance = pixels["chance" if figure == figures[0] else f"chance_{figure}"]
                error = pixels[f"{figure}_se"]
                above = f"{(pixels[figure] - chance) / error:.1f}" if error else ""
                sizes = (pixels["train"], pixels["val"], drawn, read)
                yield [task, figure, *sizes, *both, f"{chance:.4f}", above]

    steps = ("steps in minutes, pixels", "steps in minutes, tokens")
    names = ["task", "figure", "train", "held out", *steps, "pixels", "tokens", "chance"]
    table([*names, "errors above chance"], measured())


if __name__ == "__main__":
    main()
