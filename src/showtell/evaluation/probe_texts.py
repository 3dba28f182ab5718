"""What the vectors of a model know of labelled texts, beside what their words alone give away."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from showtell.data.labels.texts import read_labelled
from showtell.errors import UsageError
from showtell.evaluation.probe_report import ProbeReport, report
from showtell.nn.watch import watch_layers
from showtell.pipelines.model import Model, load_model
from showtell.protocols import TextEncoder
from showtell.tasks.probe import bag_of_words, choose_penalty, few_labels, linear_probe
from showtell.wording import counted


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

    A text's vectors are what a network makes of it, block by block, and what it ends with; `pooled` measures
    the latter alone, and `baseline` a bag of words that learned from the same texts. The penalty of each is
    chosen on a held-out fifth of what is learned from. `labels_per_class` texts of each class are drawn by
    `seed`, None takes all; of each, `max_length` tokens are read, None reads what the model can.

    Raises `UserError` for data without two classes, `UsageError` for a class with too few labels, a
    `max_length` that the model does not reach, and a model that reads no texts.
    """
    model = model or load_model()
    model.require(TextEncoder)
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
        print(f"{counted(found.empty, 'text')} skipped for being empty", file=sys.stderr)
    labels, truth = (
        torch.tensor([found.names.index(item.label) for item in items]) for items in (known, asked)
    )
    texts, queries = ([item.text for item in items] for items in (known, asked))
    layers, pooled = embed_layers(model, [*texts, *queries], progress)
    both = torch.cat([layers, pooled], 1)

    def answers(vectors: Tensor) -> Tensor:
        learned, measured = vectors[: len(texts)], vectors[len(texts) :]
        return linear_probe(learned, labels, measured, choose_penalty(learned, labels))

    return report(
        "linear",
        truth,
        answers(both),
        found.names,
        len(texts),
        found.empty,
        model.name,
        pooled=answers(pooled),
        baseline=bag_of_words(texts, labels, queries),
    )


@torch.no_grad()
def embed_layers(
    model: Model, texts: Sequence[str], progress: Callable[[int, int], None] | None = None
) -> tuple[Tensor, Tensor]:
    """What a network makes of each text on its way, `[R L*D]`, and the vector it ends with, `[R D]`.

    The former are the means of the words that enter each of a transformer's `L` blocks; others have none.
    """
    inside, pooled, done = list[Tensor](), list[Tensor](), list[int]()
    for places, batch in model.batches(texts):
        with watch_layers() as layers:
            encoded = model.system.encode_texts(batch)
        keep = batch.texts.keep[..., None]
        means = [(tokens * keep).sum(1) / keep.sum(1) for tokens in layers]
        inside.append(torch.cat([*means, encoded.pooled[:, :0]], 1).float().cpu())
        pooled.append(encoded.pooled.float().cpu())
        done += places
        if progress:
            progress(len(done), len(texts))
    back = torch.tensor(done).argsort()
    return torch.cat(inside)[back], torch.cat(pooled)[back]
