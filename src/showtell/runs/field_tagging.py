"""A run for the fields of documents: images with their materials in, a tagger of printed words out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from showtell.checkpoint.card import CardFacts
from showtell.data.batch import Batch, Targets
from showtell.data.documents.labelled import Labelled
from showtell.data.sampler import Sampler
from showtell.datasets.documents import Documents, pages_of, read_documents
from showtell.datasets.printed_text import MODEL
from showtell.runs.job import Job, SystemConfig, require, sketch
from showtell.tasks.document_figures import document_figures
from showtell.tasks.page_words import Page
from showtell.tasks.word_labels import NONE, labels_of
from showtell.tasks.word_tagging import FieldTagger, bags, read_materials
from showtell.train.config import TrainConfig


@dataclass(frozen=True)
class FieldTaggingRun:
    """Trains a system that tells from a printed word's features to which field it belongs."""

    trains_on: ClassVar = "labelled documents"

    system: SystemConfig
    """Its classes are the fields of the data."""
    train: TrainConfig
    """Its items are words."""

    def read(self, data: Path, format: str | None = None) -> Documents:
        """Documents with their materials: SROIE, or a `materials.jsonl`."""
        return read_documents(data, format)

    def prepare(self, dataset: Documents, device: str) -> Job:
        """The text of the images, read; the held-out documents are tested once, at the end."""
        kind = "field-tagging"
        shape = sketch(self.system, kind, FieldTagger)
        config: Any = self.system
        require(hasattr(config, "with_classes"), kind, shape, "its number of classes is fixed")
        pages = pages_of([*dataset.training, *dataset.validation])
        training, held_out = pages[: dataset.num_training], pages[dataset.num_training :]
        labels = [
            label
            for page, one in zip(training, dataset.training, strict=True)
            for label in labels_of(page, one.materials)
        ]
        names = (NONE, *sorted({*labels} - {NONE}))
        run = replace(self, system=config.with_classes(names))
        torch.manual_seed(run.train.seed)
        system: Any = run.system.build()
        rows = [row for page in training for row in page.features(config.vocab_size)]
        number = {name: place for place, name in enumerate(names)}
        classes = torch.tensor([number[label] for label in labels])
        sampler = Sampler(len(rows), run.train.batch_size, run.train.seed)

        def load_batch(index: int) -> Batch:
            chosen = sampler(index)
            return Batch(texts=bags([rows[i] for i in chosen]), targets=Targets(classes=classes[chosen])).to(
                device
            )

        return Job(
            run,
            system,
            load_batch,
            describe=lambda index: f"words {', '.join(map(str, sampler(index)))}",
            data={
                "hash": dataset.hash,
                "train": len(training),
                "val": len(held_out),
            },
            about=f"{len(rows)} words of {len(training)} training documents, {len(held_out)} held out, "
            f"{len(names) - 1} labels",
            card=CardFacts(
                {
                    "training documents": f"{len(training):,}",
                    "held-out documents": f"{len(held_out):,}",
                    "words": f"{len(rows):,}",
                    "text read by": MODEL,
                },
                {},
                more=f"Its labels: {', '.join(names[1:])} (`showtell extract --model`).",
            ),
            test=lambda module: measure(module, held_out, dataset.validation, device),
            preprocess={"printed_text": MODEL},
            dtype=torch.float16,
        )


def measure(
    system: nn.Module, pages: Sequence[Page], documents: Sequence[Labelled], device: str
) -> dict[str, float]:
    """`kinds`, `exact`, `normalised` and `f1` of the materials that are read in some pages."""
    assert isinstance(system, FieldTagger)
    said = [read_materials(system, page, device) for page in pages]
    figures = document_figures([one.materials for one in documents], said)
    return {name: value for name, value in figures.items() if isinstance(value, float)}
