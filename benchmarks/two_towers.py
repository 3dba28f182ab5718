"""Retrieval with finished runs of dual encoders: text to image, and image to text.

    python benchmarks/two_towers.py --data DATA/flickr8k RUN [RUN ...]

A run is the output folder of `showtell train clip_mini --data DATA/flickr8k --output RUN`. Every caption of
the split is a query among all its images, every image a query among all captions, of which any of its own
counts. `minutes` is the time of the updates of training, from `metrics.jsonl`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from showtell.evaluation.evaluate import evaluate
from showtell.pipelines.model import load_model
from table import command, table


def minutes(run: Path) -> float:
    """Total time of the updates of a run."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    settings = json.loads((run / "model" / "config.json").read_text("utf-8"))["record"]["settings"]["train"]
    images = settings["batch_size"] * settings["accumulate"]
    return sum(images / line["items_per_second"] for line in lines if "items_per_second" in line) / 60


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="val")
    options = parser.parse_args()
    rows = []
    for run in options.runs:
        figures = evaluate(load_model(run), options.data, options.split, engines=())
        for direction, found in figures["retrieval"].items():
            recalls = [f"{found[f'recall{k}']:.3f}" for k in (1, 5, 10)]
            rows.append(
                [
                    figures["model"],
                    direction.replace("_", " "),
                    *recalls,
                    f"{found['median_rank']:.0f}",
                    found["texts"],
                    found["images"],
                    f"{minutes(run):.1f}",
                ]
            )
    command()
    names = ["model", "search", "R@1", "R@5", "R@10", "median rank", "texts", "images", "minutes"]
    table(names, rows)


if __name__ == "__main__":
    main()
