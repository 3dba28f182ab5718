"""How well captions find images, and images captions, when models of pairs rank what a first model proposes.

    python benchmarks/retrieval.py --data DATA/flickr8k FIRST MODELS... [--images 1000] [--precision bf16]

Each of the first `--images` images of `val` has its first caption. FIRST, a model of two towers, proposes to
each caption the 100 nearest images, and to each image the 100 nearest captions, as BLIP and ALBEF are
evaluated; each of the other models orders them by its log-odds that the two belong together (`match`), and
by them plus the cosine over FIRST's temperature (`both`), which fits nothing to the data. What is not
proposed comes last.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from showtell.data.captions.read import read_captions
from showtell.datasets.captions import divide
from showtell.evaluation.costs import image_batch
from showtell.evaluation.evaluate import encode_entries
from showtell.pipelines.engines.rerank import CHUNK, PROPOSED, joined
from showtell.pipelines.model import Model, load_model
from showtell.pipelines.shipped import DUAL_ENCODER, dual_encoder
from showtell.tasks.metrics import ranks, recall
from showtell.tasks.pair_scores import pair_scores
from showtell.train.precision import PRECISIONS, autocast
from table import command, table


def recalls(scores: Tensor) -> list[str]:
    """R@1, 5 and 10 of captions among images, then of images among captions, from `scores [N N]`."""
    return [
        f"{value:.3f}"
        for one in (scores, scores.T)
        for value in recall(ranks(one.numpy(), range(len(one)))).values()
    ]


@torch.inference_mode()
def matches(model: Model, paths: Sequence[Path], texts: Sequence[str], proposed: Tensor) -> Tensor:
    """The log-odds of the `proposed [N N]` pairs; -inf elsewhere."""
    images = joined(
        [
            model.system.embed_images(
                image_batch(model, [model.read(path) for path in paths[first : first + CHUNK]])
            )
            for first in range(0, len(paths), CHUNK)
        ]
    )
    scores = torch.full(proposed.shape, -torch.inf)
    for row, text in enumerate(texts):
        some = proposed[row].nonzero().flatten()
        ids = model.tokenizer.encode(text, model.max_length)
        scores[row, some] = pair_scores(model.system, [ids], images[some])[0]
    return scores


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("first", metavar="FIRST", help=f"a run or checkpoint, or {DUAL_ENCODER}")
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    options = parser.parse_args()
    command()
    entries = divide(read_captions(options.data).entries)["val"][: options.images]
    paths, texts = [entry.path for entry in entries], [entry.captions[0] for entry in entries]
    first = dual_encoder() if options.first == DUAL_ENCODER else load_model(options.first)
    _, seen, _ = encode_entries(first, entries)
    near = F.normalize(first.text_vectors(texts).cpu(), dim=-1) @ F.normalize(seen.pooled, dim=-1).T
    proposed = torch.zeros_like(near, dtype=torch.bool)
    proposed.scatter_(1, near.topk(min(PROPOSED, len(near))).indices, True)
    proposed |= torch.zeros_like(proposed).scatter_(0, near.topk(min(PROPOSED, len(near)), 0).indices, True)
    scale = float(first.system.logit_scale)
    rows = [[first.name, "cosine", *recalls(near), ""]]
    for path in options.models:
        model = load_model(path)
        began = time.process_time()
        with autocast(options.precision, "cpu"):
            match = matches(model, paths, texts, proposed)
        seconds = f"{time.process_time() - began:.0f}"
        rows.append([model.name, "match", *recalls(match), seconds])
        rows.append([model.name, "both", *recalls(match + scale * near), ""])
    print(f"{len(entries)} images, {int(proposed.sum())} pairs, {options.precision}.\n")
    found = [f"{one} R@{k}" for one in ("image", "caption") for k in (1, 5, 10)]
    table(["model", "by", *found, "CPU seconds"], rows)


if __name__ == "__main__":
    main()
