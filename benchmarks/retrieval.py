"""How well models find images by captions, and captions by images, and what re-ranking adds to the first.

    python benchmarks/retrieval.py --data DATA/flickr8k FIRST [MODELS...] [--images 1000] [--precision bf16]

Each of the first `--images` images of `val` has its first caption; every caption is scored with every image,
so time grows with the square of their number. A model of two towers scores by the cosine, a model of pairs
by the log-odds that the two belong together. Re-ranked: the 100 images that FIRST, a model of two towers,
finds nearest to a caption, by a pair model's log-odds alone, and by them added to the cosine over FIRST's
temperature, which fits nothing to the data.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from showtell.data.captions.read import read_captions
from showtell.datasets.captions import divide
from showtell.evaluation.compare import scores_of
from showtell.pipelines.engines.rerank import PROPOSED
from showtell.pipelines.model import Model, load_model
from showtell.tasks.metrics import ranks, recall
from showtell.train.precision import PRECISIONS, autocast
from table import command, table


def shown(scores: Tensor) -> list[str]:
    """R@1, 5 and 10 of `scores [N N]`, row by row."""
    return [f"{value:.3f}" for value in recall(ranks(scores.numpy(), range(len(scores)))).values()]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--precision", choices=[p for p in PRECISIONS if p != "fp16"], default="float32")
    options = parser.parse_args()
    entries = divide(read_captions(options.data).entries)["val"][: options.images]
    texts = [entry.captions[0] for entry in entries]
    first = None
    rows = []
    for path in options.models:
        model: Model = load_model(path)
        pixels = [model.read(entry.path) for entry in entries]
        ids = [model.tokenizer.encode(text, model.max_length) for text in texts]
        began = time.process_time()
        with autocast(options.precision, "cpu"):
            scores = torch.from_numpy(scores_of(model, pixels, ids).astype(np.float32))
        seconds = time.process_time() - began
        row = [model.name, *shown(scores), *shown(scores.T)]
        if first is None:
            first = scores * float(model.system.log_logit_scale.exp())
            far = torch.ones_like(scores, dtype=torch.bool).scatter(1, scores.topk(PROPOSED).indices, False)
            row += ["", ""]
        else:
            row += [shown(both.masked_fill(far, -torch.inf))[0] for both in (scores, scores + first)]
        rows.append([*row, f"{seconds:.0f}"])
        print(rows[-1], flush=True)
    command()
    print(f"{len(entries)} images, {options.precision}\n")
    caption, image = ([f"{one} R@{k}" for k in (1, 5, 10)] for one in ("text to image", "image to text"))
    table(["model", *caption, *image, "re-ranked R@1", "with cosine", "CPU seconds"], rows)


if __name__ == "__main__":
    main()
