"""What the shipped captioner adds to the shipped dual encoder, by re-ranking the images that it proposes.

    python benchmarks/reranking.py --data DATA/flickr8k [--split val] [--queries 200]

A query is the first caption of an image, searched among all images of the split: `cosine + weight * mean
log-probability per token` of the 100 nearest. A query of which the captioner knows half of the words or fewer
stays as it is proposed, as in `showtell search --engine rerank`.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor
from torch.nn import functional as F

from caption_queries import parsed
from showtell.evaluation.evaluate import encode_entries
from showtell.pipelines.captioner_rerank import readable
from showtell.pipelines.engines.rerank import PROPOSED
from showtell.pipelines.model import Model, load_model
from showtell.pipelines.shipped import dual_encoder
from showtell.protocols import State
from showtell.tasks.likelihood import likelihood
from showtell.tasks.metrics import recall
from table import command, table

WEIGHTS = 0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0


def log_probabilities(captioner: Model, memory: State, text: str, near: Tensor) -> Tensor:
    """Of a text as a caption of some images; zeros where the captioner cannot read it."""
    query = captioner.read_text(text)
    if not readable(query):
        return torch.zeros(len(near))
    some = {name: value[near] for name, value in memory.items()}
    return likelihood(captioner.system, query.ids, some)


def main() -> None:
    """Measure and print."""
    entries, number = parsed(__doc__)
    dual, captioner = dual_encoder(), load_model()
    entries, seen, _ = encode_entries(dual, entries)
    again, described, _ = encode_entries(captioner, entries)
    assert [one.path for one in again] == [one.path for one in entries]
    texts = [entry.captions[0] for entry in entries[:number]]
    vectors = F.normalize(dual.text_vectors(texts).cpu(), dim=-1)
    cosines = vectors @ F.normalize(seen.pooled, dim=-1).T
    near = cosines.topk(PROPOSED).indices
    with torch.inference_mode():
        memory = captioner.system.prefill(described)
    started = time.process_time()
    added = torch.stack(
        [log_probabilities(captioner, memory, text, row) for text, row in zip(texts, near, strict=True)]
    )
    seconds = (time.process_time() - started) / len(texts)
    unread = sum(not readable(captioner.read_text(text)) for text in texts)
    command()
    print(
        f"`{dual.name}` and `{captioner.name}`, {len(texts)} queries, {len(entries)} images, "
        f"{1000 * seconds:.0f} CPU ms per query re-ranked; {unread} stay as proposed.\n"
    )
    own = near == torch.arange(len(texts))[:, None]
    rows = []
    for weight in WEIGHTS:
        scores = cosines.gather(1, near) + weight * added
        best = (scores * own).sum(1, keepdim=True)
        ranks = torch.where(own.any(1), (scores > best).sum(1) + 1, len(entries))
        rows.append([f"{weight:g}", *(f"{value:.3f}" for value in recall(ranks.tolist()).values())])
    table(["weight", "R@1", "R@5", "R@10"], rows)


if __name__ == "__main__":
    main()
