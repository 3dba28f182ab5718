"""CapFilt on held-out images: do the captions that a filter believes say more of what people say?

    python benchmarks/bootstrap.py --data DATA/flickr8k [--filter RUN] [--images 200] [--num 3]

`showtell bootstrap` sees the images of a split alone and writes `num` sampled captions of each; CIDEr
compares them with people's. A filter that reads pairs keeps those that match with a probability of
`--threshold`; without `--filter`, the shipped dual encoder keeps the half of higher cosine. Standard errors
are those over images, of 1,000 resamples.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch, TextBatch
from showtell.data.captions.entry import Entry
from showtell.data.captions.read import read_captions
from showtell.data.tokenizers.words import WordTokenizer
from showtell.datasets.captions import divide
from showtell.pipelines.bootstrap import DROPPED, KEPT, bootstrap
from showtell.pipelines.model import Model, load_model
from showtell.pipelines.shipped import dual_encoder
from showtell.protocols import Encoded
from showtell.tasks.metrics import cider_of_each
from table import command, table


class Cosines(nn.Module):
    """A dual encoder as a scorer of pairs: the cosine takes the place of the log-odds."""

    fused_width = 1

    def __init__(self, dual: Any) -> None:
        super().__init__()
        self.dual = dual

    def embed_images(self, batch: Batch, generator: Any = None, *, place: int = 0) -> Encoded:
        """The vectors of the images."""
        vectors = F.normalize(self.dual.image_vectors(batch), dim=-1)
        return Encoded(vectors[:, None], vectors)

    def embed_texts(self, texts: TextBatch) -> Tensor:
        """The vectors of the texts."""
        return F.normalize(self.dual.text_vectors(Batch(texts=texts)), dim=-1)[:, None]

    def fuse(self, batch: Batch, images: Encoded) -> Encoded:
        """The cosine of each text and its image."""
        cosines = (self.embed_texts(batch.texts)[:, 0] * images.pooled[batch.texts.owner]).sum(
            1, keepdim=True
        )
        return Encoded(cosines[:, None], cosines)

    def match(self, fused: Encoded) -> Tensor:
        """The cosine."""
        return fused.pooled[:, 0]


def judged(entries: list[Entry], captioner: Model, judge: Model, num: int) -> list[dict[str, Any]]:
    """What `showtell bootstrap` writes of images without their captions, kept or dropped."""
    with tempfile.TemporaryDirectory() as folder:
        images, output = Path(folder, "images"), Path(folder, "output")
        images.mkdir()
        for entry in entries:
            (images / entry.path.name).symlink_to(entry.path.resolve())
        bootstrap(images, output, captioner, judge, num=num)
        lines = [line for name in (KEPT, DROPPED) for line in (output / name).read_text("utf-8").splitlines()]
    return [json.loads(line) for line in lines]


def scored(rows: list[dict[str, Any]], entries: list[Entry]) -> np.ndarray:
    """The CIDEr of each caption; documents are counted over all images' people."""
    words = WordTokenizer.train([])
    places = {entry.path.name: place for place, entry in enumerate(entries)}
    references = [[words.split(text) for text in entry.captions] for entry in entries]
    out, left = np.zeros(len(rows)), list(range(len(rows)))
    while left:  # one caption per image at a time
        chosen = {places[Path(rows[row]["image"]).name]: row for row in left}
        said = [words.split(rows[chosen[i]]["caption"]) if i in chosen else [] for i in range(len(entries))]
        scores = cider_of_each(said, references)
        for place, row in chosen.items():
            out[row] = scores[place]
        left = [row for row in left if row not in chosen.values()]
    return out


def difference(scores: np.ndarray, kept: np.ndarray, owner: np.ndarray) -> tuple[float, float]:
    """Mean of the kept minus that of the dropped, and its standard error."""
    images, random = np.unique(owner), np.random.default_rng(0)
    sums = np.zeros((2, 2, owner.max() + 1))  # kept or not; total, count; image
    for side, chosen in enumerate((kept, ~kept)):
        np.add.at(sums[side, 0], owner[chosen], scores[chosen])
        np.add.at(sums[side, 1], owner[chosen], 1)

    def of(some: np.ndarray) -> float:
        (a, n), (b, m) = sums[:, :, some].sum(2)
        return float(a / n - b / m)

    return of(images), float(np.std([of(random.choice(images, len(images))) for _ in range(1000)], ddof=1))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--num", type=int, default=3)
    parser.add_argument("--captioner", help="default: the shipped one")
    parser.add_argument("--filter", help="a model that scores pairs; default: the shipped dual encoder")
    parser.add_argument("--threshold", type=float, default=0.5)
    options = parser.parse_args()
    entries = divide(read_captions(options.data).entries)[options.split][: options.images]
    captioner = load_model(options.captioner)
    judge = load_model(options.filter) if options.filter else dual_encoder()
    if not options.filter:
        judge.system = Cosines(judge.system)
    started = time.process_time()
    rows = judged(entries, captioner, judge, options.num)
    seconds = time.process_time() - started
    chances = np.array([row["probability"] for row in rows])
    kept = chances >= (options.threshold if options.filter else np.median(chances))
    owner = np.unique([row["image"] for row in rows], return_inverse=True)[1]
    scores = scored(rows, entries)
    apart, error = difference(scores, kept, owner)
    command()
    print(
        f"`{captioner.name}` filtered by `{judge.name}`: {len(rows)} captions of {len(entries)} images of "
        f"{options.split}, {seconds:.0f} CPU seconds.\n"
    )
    table(
        ["captions", "number", "CIDEr"],
        [
            ["all", len(rows), f"{scores.mean():.3f}"],
            ["kept", kept.sum(), f"{scores[kept].mean():.3f}"],
            ["dropped", (~kept).sum(), f"{scores[~kept].mean():.3f}"],
            ["kept - dropped", "", f"{apart:.3f} +- {error:.3f} ({apart / error:.1f} standard errors)"],
        ],
    )


if __name__ == "__main__":
    main()
