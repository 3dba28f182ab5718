"""Fine-tuning of a reader of pixels beside one of tokens, on the same examples.

    python benchmarks/finetuning.py --data DATA [--vlp MODEL] [--bert MODEL] [--only TASK] [--set NAME=VALUE]

DATA holds `sst2/`, `nli/`, `tags/`, `squad/`. Without a model, that column is trained from scratch. Each
figure is that of the held-out examples after the last step, with its standard error by bootstrap over them;
`errors above chance` is how many of them the pixels are above always answering the most frequent class, or,
of questions on passages, above random spans.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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


def trained(recipe: str, data: Path, model: str | None, settings: Sequence[str]) -> dict[str, Any]:
    """The figures of a run, and what its checkpoint says of the data."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        train_model(recipe, data, Path(folder) / "run", settings, model=model)
        record = load_checkpoint(Path(folder) / "run").record
    print(f"{recipe}, {data}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    names = ("train", "val", "chance", "chance_f1")
    return {**record["validation"], **{n: record["data"][n] for n in names if n in record["data"]}}


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--vlp", help="a checkpoint that reads pixels")
    parser.add_argument("--bert", help="a checkpoint that reads tokens")
    parser.add_argument("--only", choices=TASKS, action="append")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="NAME=VALUE")
    options = parser.parse_args()
    command()
    rows = []
    for task in options.only or TASKS:
        prefix, place, figures = TASKS[task]
        pixels, tokens = (
            trained(f"{prefix}_{kind}", options.data / place, model, options.settings)
            for kind, model in (("vlp", options.vlp), ("bert", options.bert))
        )
        for figure in figures:
            both = [f"{one[figure]:.4f} ± {one[f'{figure}_se']:.4f}" for one in (pixels, tokens)]
            chance = above = ""
            if (
                by_chance := pixels.get("chance" if figure == figures[0] else f"chance_{figure}")
            ) is not None:
                chance = f"{by_chance:.4f}"
                above = f"{(pixels[figure] - by_chance) / max(pixels[f'{figure}_se'], 1e-9):.1f}"
            rows.append([task, figure, pixels["train"], pixels["val"], *both, chance, above])
    names = ["task", "figure", "train", "held out", "pixels", "tokens", "chance", "errors above chance"]
    table(names, rows)


if __name__ == "__main__":
    main()
