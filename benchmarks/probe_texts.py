"""Probes of a text encoder on labelled texts, compared with a bag of words.

    python benchmarks/probe_texts.py imdb sst2 [--model M] [--max-length 256]

`all layers`: logistic regression on the mean hidden states of every layer and the pooled vector; `last
vector`: on the pooled vector alone. `--labels-per-class` samples few training texts, for a first look.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from showtell.evaluation.probe_texts import probe_texts
from showtell.pipelines.model import load_model
from table import command, table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="+", help="folders or files of labelled texts")
    parser.add_argument("--model", default="all-MiniLM-L6-v2", help="a checkpoint, or a package's model")
    parser.add_argument("--max-length", type=int, default=256, help="256, as MiniLM's model card says")
    parser.add_argument("--labels-per-class", type=int)
    options = parser.parse_args()
    model = load_model(options.model)
    command()
    print(f"Model `{model.name}`, at most {options.max_length} tokens per text.\n")
    rows = []
    for data in options.data:
        began = time.monotonic()
        found = probe_texts(
            data,
            model,
            labels_per_class=options.labels_per_class,
            max_length=options.max_length,
        )
        print(f"{data}: {time.monotonic() - began:.0f} s", file=sys.stderr)
        error = (found.accuracy * (1 - found.accuracy) / found.tested) ** 0.5
        figures = (found.accuracy, error, found.pooled, found.baseline, found.chance)
        rows.append([data.name, found.trained, found.tested, *(f"{figure:.4f}" for figure in figures)])
    table(
        ["data", "train", "test", "all layers", "standard error", "last vector", "bag of words", "chance"],
        rows,
    )


if __name__ == "__main__":
    main()
