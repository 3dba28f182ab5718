"""A text-classification run: labelled texts or pairs in, a classifier that names their classes out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from showtell.checkpoint.card import CardFacts
from showtell.data.batch import Batch, Targets
from showtell.data.labels.texts import read_labelled
from showtell.data.qa.examples import Pair
from showtell.data.sampler import Sampler
from showtell.datasets.cuts import Cuts, log_cuts
from showtell.datasets.qa import read_qa
from showtell.datasets.text_inputs import Parts, TextInput
from showtell.errors import UsageError
from showtell.protocols import Trainable
from showtell.runs.finetuning import prepared, started
from showtell.runs.job import Job, SystemConfig
from showtell.tasks.text_classes import EncodedClassifier, class_logits, mean_logits
from showtell.tasks.text_figures import class_figures
from showtell.train.config import TrainConfig

CHUNK = 64
"""Texts of one batch of a validation."""
MEANING = {
    "accuracy": "accuracy",
    "accuracy_se": "standard error of the accuracy",
    "f1": "F1, the mean over the classes",
    "f1_se": "standard error of the F1",
    "loss": "negative log-likelihood per text",
}


@dataclass(frozen=True)
class ClassifiedTexts:
    """Texts or pairs with their classes, divided."""

    names: tuple[str, ...]
    training: list[tuple[Parts, int]]
    validation: list[tuple[Parts, int]]

    @property
    def num_training(self) -> int:
        """Training examples."""
        return len(self.training)

    @property
    def hash(self) -> str:
        """SHA-256 of all examples in their order."""
        digest = hashlib.sha256(repr(self.names).encode())
        for example in [*self.training, None, *self.validation]:
            digest.update(repr(example).encode() + b"\0")
        return digest.hexdigest()


@dataclass(frozen=True)
class TextClassificationRun:
    """Fine-tunes a system that classifies texts, which it reads as tokens or as images."""

    trains_on: ClassVar = "labelled texts"

    system: SystemConfig
    """Its classes are those of the data, its sizes those of `model`."""
    train: TrainConfig
    model: str = ""
    """The checkpoint to start from; empty: from scratch."""

    def read(self, data: Path, format: str | None = None) -> ClassifiedTexts:
        """Texts with `label`: a `.jsonl` or `.tsv` file, or a folder with train and test."""
        if format is not None:
            raise UsageError(f"labelled texts have one format; leave out --format {format}")
        found = read_labelled(data)
        rows = [(item, ((item.text,), found.names.index(item.label))) for item in found.items]
        return ClassifiedTexts(
            found.names,
            [row for item, row in rows if not item.held_out],
            [row for item, row in rows if item.held_out],
        )

    def prepare(self, dataset: ClassifiedTexts, device: str) -> Job:
        """Examples as the system reads them; held-out ones are read after the last step."""
        texts = (part for parts, _ in dataset.training for part in parts)
        protocols = (Trainable, EncodedClassifier)
        start = started(self.system, self.model, dataset.names, texts, self.train.seed, *protocols)
        run = replace(self, system=start.config)
        given = start.given
        cuts = {name: Cuts(given.longest, "fine-tuning reads") for name in ("training", "validation")}
        rows = {"training": dataset.training, "validation": dataset.validation}
        ready = {
            name: prepared(given.prepare, [parts for parts, _ in rows[name]], cuts[name], " ".join)
            for name in rows
        }
        log_cuts(cuts)
        labels = {name: torch.tensor([rows[name][place][1] for place in ready[name].kept]) for name in rows}
        items, known, held_out = ready["training"].items, labels["training"], labels["validation"]
        sampler = Sampler(len(items), run.train.batch_size, run.train.seed)

        def load_batch(index: int) -> Batch:
            chosen = sampler(index)
            batch = given.batch([items[i] for i in chosen], (run.train.seed, index))
            return replace(batch, targets=Targets(**{given.target: known[chosen]})).to(device)

        constant = np.full(len(held_out), int(known.bincount().argmax()))
        chance = class_figures(held_out.numpy(), constant, len(dataset.names))
        return Job(
            run,
            start.system,
            load_batch,
            describe=lambda index: f"texts {', '.join(map(str, sampler(index)))}",
            data={
                "hash": dataset.hash,
                **start.facts,
                "train": len(items),
                "val": len(held_out),
                "chance": chance["accuracy"],
                "chance_f1": chance["f1"],
            },
            about=f"{len(items)} training and {len(held_out)} held-out texts of {len(dataset.names)} "
            f"classes, {start.about}",
            card=CardFacts(
                {
                    "training texts": f"{len(items):,}",
                    "held-out texts": f"{len(held_out):,}",
                    "fine-tuned": start.about,
                    "longest text": f"{given.longest} tokens",
                    "accuracy of always the most frequent class": f"{chance['accuracy']:.3f}",
                    "F1 of always the most frequent class": f"{chance['f1']:.3f}",
                },
                MEANING,
                more=f"Its classes: {', '.join(dataset.names)} (`showtell classify --texts`).",
            ),
            validate=lambda module: measure(module, given, ready["validation"].items, held_out, device),
            tokenizer_json=given.tokenizer.to_json(),
            preprocess=start.preprocess,
            cuts=tuple(cuts.values()),
        )


@dataclass(frozen=True)
class EntailmentRun(TextClassificationRun):
    """Fine-tunes a system that classifies pairs: two segments of tokens, or two blocks of an image."""

    trains_on: ClassVar = "premises and hypotheses"

    def read(self, data: Path, format: str | None = None) -> ClassifiedTexts:
        """Pairs with their label, as MNLI and SNLI write them."""
        found = read_qa(data, format or "entailment")
        names = found.labels

        def rows(examples: Sequence[Any]) -> list[tuple[Parts, int]]:
            pairs = cast(Sequence[Pair], examples)
            return [((one.premise, one.hypothesis), names.index(one.label)) for one in pairs]

        if not all(isinstance(one, Pair) for one in found.training):
            raise UsageError(f"{data} holds {found.format}, not pairs; leave out --format")
        return ClassifiedTexts(names, rows(found.training), rows(found.validation))


def measure(
    system: nn.Module, given: TextInput, items: Sequence[Any], labels: torch.Tensor, device: str = "cpu"
) -> dict[str, float]:
    """`accuracy` and `f1` with their standard errors, and `loss`; all pages are read, always drawn alike."""
    reader: Any = given
    pages = [(place, page) for place, item in enumerate(items) for page in reader.pages(item)]
    batches = (
        reader.batch([page for _, page in pages[first : first + CHUNK]], (first,)).to(device)
        for first in range(0, len(pages), CHUNK)
    )
    found = class_logits(cast(EncodedClassifier, system), batches)
    logits = mean_logits(found, [place for place, _ in pages])
    loss = float(F.cross_entropy(logits, labels))
    return {**class_figures(labels.numpy(), logits.argmax(1).numpy(), logits.shape[1]), "loss": loss}
