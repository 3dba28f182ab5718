"""What the vectors of a model know of labelled texts, beside what their words alone give away."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from showtell.data.texts.labelled import read_labelled
from showtell.errors import UsageError
from showtell.protocols import EmbedsText
from showtell.recipes.model import Model, load_model
from showtell.recipes.probe_report import ProbeReport, report
from showtell.tasks.probe import bag_of_words, few_labels, linear_probe

CHUNK = 1024


def probe_texts(
    data: Path | str,
    model: Model | None = None,
    *,
    labels_per_class: int | None = None,
    max_length: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> ProbeReport:
    """Learn the classes of labelled texts by logistic regression on their vectors; measure on those held out.

    `baseline` is that of a bag of words, learned from the same texts. `labels_per_class` texts of each class
    are drawn by `seed`, None takes all; of each, `max_length` tokens are read, None reads what the model can.

    Raises `UserError` for data without two classes, `UsageError` for a class with too few labels, a
    `max_length` that the model does not reach, and a model that reads no texts.
    """
    model = model or load_model()
    model.require(EmbedsText)
    if max_length is not None:
        if not 2 < max_length <= (model.max_length or max_length):
            raise UsageError(f"--max-length {max_length}: {model.name} reads 3 to {model.max_length} tokens")
        model = replace(model, max_length=max_length)
    found = read_labelled(Path(data))
    known = [item for item in found.items if not item.measured]
    if labels_per_class is not None:
        labels = torch.tensor([found.names.index(item.label) for item in known])
        known = [known[place] for place in few_labels(labels, labels_per_class, seed, found.names)]
    asked = [item for item in found.items if item.measured]
    if found.empty:
        print(f"{found.empty} texts skipped: they are empty", file=sys.stderr)
    labels, truth = (
        torch.tensor([found.names.index(item.label) for item in items]) for items in (known, asked)
    )
    texts, queries = ([item.text for item in items] for items in (known, asked))
    vectors = embed(model, [*texts, *queries], progress)
    return report(
        "linear",
        truth,
        linear_probe(vectors[: len(texts)], labels, vectors[len(texts) :]),
        found.names,
        len(texts),
        found.empty,
        model.name,
        bag_of_words(texts, labels, queries),
    )


def embed(model: Model, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> Tensor:
    """A vector of each text, `[R D]`."""
    rows = []
    for first in range(0, len(texts), CHUNK):
        rows.append(model.embed_texts(texts[first : first + CHUNK]))
        if progress:
            progress(min(first + CHUNK, len(texts)), len(texts))
    return torch.cat(rows)
