"""What the backbone's tags add to the cosines of the shipped dual encoder, in search by a caption.

    python benchmarks/tags.py --data DATA/flickr8k [--split val] [--queries 200]

A query is the first caption of an image, searched among all images of the split. `dot` is the default of
`showtell search`, `tags` the engine of that name; with a weight the score is `dot + weight * tags`, where
`tags` is 0 for an image that has none.
"""

from __future__ import annotations

import numpy as np

from caption_queries import parsed
from showtell.evaluation.evaluate import encode_entries
from showtell.evaluation.retrieval import EncodedImages
from showtell.pipelines.engine import engine_named
from showtell.pipelines.shipped import dual_encoder
from showtell.pipelines.tags import sights
from showtell.tasks import metrics
from table import command, table

WEIGHTS = 0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0


def main() -> None:
    """Measure and print."""
    entries, number = parsed(__doc__)
    model = dual_encoder()
    entries, encoded, _ = encode_entries(model, entries)
    seen = sights(model, encoded)
    images = EncodedImages([entry.path for entry in entries], encoded, [], seen)
    queries = [model.read_text(entry.captions[0]) for entry in entries[:number]]
    scores = {}
    for name in ("dot", "tags"):
        found = scores[name] = np.zeros((len(queries), len(entries)), np.float32)
        for place, answer in enumerate(engine_named(name)(images, model).find(queries, len(entries))):
            found[place, [hit.row for hit in answer.hits]] = [hit.score for hit in answer.hits]
    command()
    tagged = sum(bool(one.tags) for one in seen)
    print(f"`{model.name}`, {len(queries)} queries, {len(entries)} images, {tagged} with tags.\n")
    mixed = {f"dot + {weight:g} tags": scores["dot"] + weight * scores["tags"] for weight in WEIGHTS}
    rows = []
    for name, some in {**mixed, "tags": scores["tags"]}.items():
        figures = metrics.recall(metrics.ranks(some, range(len(queries)))).values()
        rows.append([name, *(f"{value:.3f}" for value in figures)])
    table(["score", "R@1", "R@5", "R@10"], rows)


if __name__ == "__main__":
    main()
