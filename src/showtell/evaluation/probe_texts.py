"""A linear probe of texts: on the hidden states of every layer, beside a bag of words."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from showtell.data.images.page import Page
from showtell.data.labels.texts import read_labelled
from showtell.datasets.cuts import Cuts
from showtell.errors import UsageError
from showtell.evaluation.probe_pages import embed_pages
from showtell.evaluation.probe_report import ProbeReport, probe_report
from showtell.nn.watch import watch_layers
from showtell.pipelines.model import Model, load_model
from showtell.progress import report
from showtell.protocols import TextEncoder
from showtell.tasks.probe import bag_of_words, choose_penalty, few_labels, linear_probe
from showtell.wording import counted

logger = logging.getLogger(__name__)


def probe_texts(
    data: Path | str,
    model: Model | None = None,
    *,
    labels_per_class: int | None = None,
    max_length: int | None = None,
    seed: int = 0,
    strict: bool = False,
) -> ProbeReport:
    """Logistic regression on vectors of labelled texts, tested on held-out ones.

    A text's vectors are the mean hidden states of every layer and the pooled vector; `pooled` tests the
    latter alone, `baseline` a bag of words trained on the same texts. Each penalty is chosen on a held-out
    fifth of the training texts. `labels_per_class` training texts per class are drawn by `seed`, None takes
    all; at most `max_length` tokens of each are read, None reads as many as the model can. Longer texts are
    cut, with one warning. For a model that reads pixels the texts are drawn, on one page each, or on as many
    as `max_length` tokens need.

    Raises `UserError` for data without two classes and, with `strict`, for a text to cut, `UsageError` for a
    class with too few labels, a `max_length` beyond the model's, and a model that reads neither texts nor
    pages.
    """
    model = model or load_model()
    drawn = model.image_input is not None and isinstance(model.image_input.prepare, Page)
    if drawn and max_length is not None and max_length < 1:
        raise UsageError(f"--max-length {max_length}: give 1 token or more")
    if not drawn:
        model.require(TextEncoder)
    if not drawn and max_length is not None:
        if not 2 < max_length <= (model.max_length or max_length):
            raise UsageError(f"--max-length {max_length}: {model.name} reads 3 to {model.max_length} tokens")
        model = replace(model, max_length=max_length)
    found = read_labelled(Path(data))
    known = [item for item in found.items if not item.held_out]
    if labels_per_class is not None:
        labels = torch.tensor([found.names.index(item.label) for item in known])
        known = [known[place] for place in few_labels(labels, labels_per_class, seed, found.names)]
    held_out = [item for item in found.items if item.held_out]
    if found.empty:
        logger.warning("%s skipped for being empty", counted(found.empty, "text"))
    labels, truth = (
        torch.tensor([found.names.index(item.label) for item in items]) for items in (known, held_out)
    )
    texts, queries = ([item.text for item in items] for items in (known, held_out))
    if drawn:
        layers, pooled, cuts = embed_pages(model, [*texts, *queries], max_length, strict=strict)
    else:
        cuts = Cuts(model.max_length, f"{model.name} reads", strict=strict)
        for text in [*texts, *queries]:
            cuts.encode(model.tokenizer, text)
        layers, pooled = embed_layers(model, [*texts, *queries])
    cuts.log()
    both = torch.cat([layers, pooled], 1)

    def answers(vectors: Tensor) -> Tensor:
        training, test = vectors[: len(texts)], vectors[len(texts) :]
        return linear_probe(training, labels, test, choose_penalty(training, labels))

    return probe_report(
        "linear",
        truth,
        answers(both),
        found.names,
        len(texts),
        found.empty,
        model.name,
        pooled=answers(pooled),
        baseline=bag_of_words(texts, labels, queries),
        cut=cuts.count,
    )


@torch.no_grad()
def embed_layers(model: Model, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """The mean token that enters each of a transformer's `L` blocks, `[R L*D]`, and the pooled vector, `[R
    D]`.

    Other networks have no blocks, and `L` is 0.
    """
    inside, pooled, done = list[Tensor](), list[Tensor](), list[int]()
    for places, batch in model.batches([model.tokenizer.encode(text, model.max_length) for text in texts]):
        with watch_layers() as layers:
            encoded = model.system.encode_texts(batch)
        keep = batch.texts.keep[..., None]
        means = [(tokens * keep).sum(1) / keep.sum(1) for tokens in layers]
        inside.append(torch.cat([*means, encoded.pooled[:, :0]], 1).float().cpu())
        pooled.append(encoded.pooled.float().cpu())
        done += places
        report("reading texts", len(done), len(texts))
    back = torch.tensor(done).argsort()
    return torch.cat(inside)[back], torch.cat(pooled)[back]
