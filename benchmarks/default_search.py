"""Search with the shipped dual encoder: in four languages, for what is not there, and its time.

    python benchmarks/default_search.py --data DATA/flickr8k [--model M] [--split val]

A query is the first caption of an image, searched among all images of the split. `chinese_queries.tsv` holds
Chinese descriptions of a hundred images of `val`, `german_queries.tsv` and `french_queries.tsv` of fifty of
them, translated by hand. Times are of one query at a time, from
the text to the ten best of the split's images, and of as many copies of them as make 100,000. For what is not
there, each English query is asked of so many images drawn at random, once its own among them and once not.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from showtell.data.captions.read import read_captions
from showtell.datasets.captions import divide
from showtell.evaluation.evaluate import encode_entries
from showtell.library.vectors import largest
from showtell.pipelines.model import Model, load_model
from showtell.tasks.chance import Chance
from showtell.tasks.metrics import median_rank, ranks, recall
from table import command, table

TRANSLATED = ["Chinese", "German", "French"]
TIMED, MANY = 50, 100_000
COUNTS = 1, 15, 100, 999
"""Images in which something is looked for that may not be there."""


def translated(language: str, place: dict[str, int]) -> list[tuple[str, int]]:
    """The queries of a language, and the row of each one's image; `place` gives it by the image's name."""
    file = Path(__file__).with_name(f"{language.lower()}_queries.tsv")
    pairs = [line.split("\t") for line in file.read_text("utf-8").splitlines()]
    return [(text, place[name]) for name, text in pairs if name in place]


def cosines(model: Model, texts: list[str], images: np.ndarray) -> np.ndarray:
    """Of each text with all images."""
    return torch.nn.functional.normalize(model.text_vectors(texts), dim=-1).cpu().numpy() @ images.T


def said_to_be_absent(scores: np.ndarray, chance: Chance, number: int) -> tuple[float, float]:
    """The share of queries said to be like none of `number` images: with their own among them, and without.

    `scores [Q M]`, of which query `q` describes image `q`.
    """
    rng, threshold = np.random.default_rng(0), chance.threshold(number)
    with_own, without = [], []
    for row, of_query in enumerate(scores):
        others = np.delete(of_query, row)[rng.permutation(len(of_query) - 1)[:number]]
        without.append(others.max() <= threshold)
        with_own.append(max(of_query[row], *others[: number - 1], -1.0) <= threshold)
    return float(np.mean(with_own)), float(np.mean(without))


def milliseconds(model: Model, texts: list[str], images: np.ndarray) -> float:
    """The median time of one query."""
    times = []
    for text in texts[:TIMED]:
        started = time.perf_counter()
        (vector,) = model.vectors_of([model.read_text(text).ids]).cpu().numpy()
        largest(images @ (vector / np.linalg.norm(vector)), 10)
        times.append(1000 * (time.perf_counter() - started))
    return float(np.median(times))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--model", default="default_search")
    options = parser.parse_args()
    model = load_model(options.model)
    entries = divide(read_captions(options.data).entries)[options.split]
    entries, encoded, _ = encode_entries(model, entries)
    images = torch.nn.functional.normalize(encoded.pooled, dim=-1).numpy()
    place = {entry.path.name: row for row, entry in enumerate(entries)}
    english = [entry.captions[0] for entry in entries]
    command()
    print(f"Model `{model.name}`, {len(entries)} images of `{options.split}`.\n")
    asked = {"English": [(text, row) for row, text in enumerate(english)]}
    asked |= {language: translated(language, place) for language in TRANSLATED}
    rows = []
    for language, queries in asked.items():
        texts, places = zip(*queries, strict=True)
        rank = ranks(cosines(model, [*texts], images), places)
        figures = [f"{value:.3f}" for value in recall(rank).values()]
        rows.append([language, *figures, f"{median_rank(rank):.0f}", len(texts)])
    table(["queries", "R@1", "R@5", "R@10", "median rank", "number"], rows)
    if model.chance:
        scores = cosines(model, english, images)
        rows = []
        for number in COUNTS:
            wrongly, rightly = said_to_be_absent(scores, model.chance, number)
            rows.append([number, f"{model.chance.threshold(number):.3f}", f"{wrongly:.3f}", f"{rightly:.3f}"])
        table(["images", "threshold", "absent, although there", "absent, and so it is"], rows)
    many = np.tile(images, (-(-MANY // len(images)), 1))[:MANY]
    timed = [[f"{len(some):,}", f"{milliseconds(model, english, some):.1f}"] for some in (images, many)]
    table(["images", "ms per query"], timed)


if __name__ == "__main__":
    main()
