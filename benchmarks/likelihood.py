"""Search by likelihood for the ten best images, against the float32 scores of all images.

    python benchmarks/likelihood.py --data DATA/flickr8k [--split val] [--queries 200]

A query is the first caption of an image, searched among all images of the split by the shipped captioner. CPU
time of one thread, both ways in turn; equal are queries with the same images in the same order.
"""

from __future__ import annotations

import time
from statistics import mean, median

import torch

from caption_queries import parsed
from showtell.evaluation.evaluate import encode_entries
from showtell.evaluation.retrieval import EncodedImages
from showtell.pipelines.engines.likelihood import Likelihood
from showtell.pipelines.model import load_model
from showtell.runtime import prepare_process
from table import command, table

TOP = 10


def main() -> None:
    """Measure and print."""
    entries, number = parsed(__doc__)
    prepare_process()
    torch.set_num_threads(1)
    model = load_model(device="cpu")
    entries, encoded, _ = encode_entries(model, entries)
    images = EncodedImages([entry.path for entry in entries], encoded, [], [])
    queries = [model.read_text(entry.captions[0]) for entry in entries[:number]]
    engine = Likelihood(images, model)
    taken: dict[int, list[float]] = {TOP: [], len(images): []}
    for top in taken:
        next(engine.find(queries[:1], top))  # prefills
    equal, deviations = 0, [0.0]
    for query in queries:
        answers = []
        for top, seconds in taken.items():
            started = time.process_time()
            answers.append(next(engine.find([query], top)).hits[:TOP])
            seconds.append(time.process_time() - started)
        equal += [hit.row for hit in answers[0]] == [hit.row for hit in answers[1]]
        deviations += [abs(a.score - b.score) for a, b in zip(*answers, strict=True)]
    command()
    print(
        f"`{model.name}`, {len(images)} images, {len(queries)} queries of "
        f"{mean(len(query.ids) for query in queries):.1f} tokens; largest difference of a score "
        f"{max(deviations):.1e}.\n"
    )
    best, everything = (1000 * median(seconds) for seconds in taken.values())
    table(
        ["CPU ms per query, the ten best", "all, float32", "ratio", "queries with the same ten"],
        [[f"{best:.0f}", f"{everything:.0f}", f"{best / everything:.2f}", f"{equal} of {len(queries)}"]],
    )


if __name__ == "__main__":
    main()
