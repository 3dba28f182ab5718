"""Probes: what a model's vectors know of labelled images or texts."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from showtell.data.images.decode import ImageError, decode_image
from showtell.data.labels.images import Classes, Labelled, read_classes
from showtell.data.labels.texts import labelled_files
from showtell.data.prefetch import prefetch
from showtell.errors import UsageError, UserError
from showtell.evaluation.finetune import finetune
from showtell.evaluation.probe_report import ProbeReport, probe_report
from showtell.evaluation.probe_texts import probe_texts
from showtell.pipelines.model import Model, load_model
from showtell.progress import report
from showtell.protocols import ImageEncoder
from showtell.tasks.probe import few_labels, knn, linear_probe
from showtell.wording import counted

logger = logging.getLogger(__name__)

Kind = Literal["knn", "linear", "finetune"]
NEIGHBOURS = 200
BATCH = 64


def probe(
    data: Path | str,
    model: Model | None = None,
    *,
    kind: Kind | None = None,
    labels_per_class: int | None = None,
    epochs: int = 10,
    max_length: int | None = None,
    seed: int = 0,
    strict: bool = False,
) -> ProbeReport:
    """Train a classifier on labelled images or texts, and test it on held-out ones; the model defaults to the
    shipped one.

    Images lie in a folder or tar archive, one folder per class. `knn`, the default, classifies by the nearest
    training images; `linear` trains one layer on frozen vectors; `finetune` trains the network too, for
    `epochs`. Texts lie in `.jsonl` or `.tsv` files; they are probed by `linear`, and at most `max_length`
    tokens of each are read, which is said, or with `strict` refused. `labels_per_class` training items per
    class are drawn by `seed`; None takes all.

    Raises `UserError` for data without two classes, `UsageError` for a class with too few labels, for a kind
    or `max_length` that does not fit the data, for a model that is no image or text encoder, and for
    `finetune` of a frozen network.
    """
    if not Path(data).exists():
        raise UserError(f"there is no file or folder {data}")
    if labelled_files(Path(data)):
        if kind not in (None, "linear"):
            raise UsageError(f"texts are probed by --kind linear, not by {kind}")
        return probe_texts(
            data, model, labels_per_class=labels_per_class, max_length=max_length, seed=seed, strict=strict
        )
    if max_length is not None:
        raise UsageError(f"{data} holds no labelled texts, which --max-length is for")
    kind = kind or "knn"
    model = model or load_model()
    model.require(ImageEncoder)
    classes = read_classes(Path(data))
    wanted = choose(classes, labels_per_class, seed)
    read = _Reading(classes, wanted, model)
    if kind == "finetune":
        truth, answers, trained = finetune(model, read, len(wanted), len(classes.names), epochs, seed)
    else:
        features, labels, held_out = read.vectors()
        known, truth = labels[~held_out], labels[held_out]
        answer = _neighbours if kind == "knn" else linear_probe
        answers, trained = answer(features[~held_out], known, features[held_out]), len(known)
    if read.skipped:
        logger.warning("%s skipped, the first: %s", counted(len(read.skipped), "image"), read.skipped[0])
    return probe_report(kind, truth, answers, classes.names, trained, len(read.skipped), model.name)


def choose(classes: Classes, labels_per_class: int | None, seed: int) -> list[Labelled]:
    """The images to read: all held-out ones, and all or some to train on."""
    training = [item for item in classes.items if not item.held_out]
    if labels_per_class is not None:
        labels = torch.tensor([item.label for item in training])
        training = [training[place] for place in few_labels(labels, labels_per_class, seed, classes.names)]
    return [*training, *(item for item in classes.items if item.held_out)]


class _Reading:
    """Reads the chosen images one after another, and keeps the names of those that cannot be read."""

    def __init__(self, classes: Classes, wanted: Collection[Labelled], model: Model) -> None:
        self._classes, self._wanted, self._model = classes, wanted, model
        self.skipped: list[str] = []

    def __iter__(self) -> Iterator[tuple[Labelled, np.ndarray]]:
        """Each readable image, `uint8 [S S 3]`, prepared for the model.

        Raises `UserError` at the end when no image was left to train on, or to test on.
        """
        contents, uses = self._classes.contents(self._wanted), set()
        for done, (item, outcome) in enumerate(prefetch(self._prepare, contents), 1):
            if isinstance(outcome, ImageError):
                self.skipped.append(str(outcome))
            else:
                uses.add(item.held_out)
                yield item, outcome
            report(f"reading {self._classes.root}", done, len(self._wanted))
        if len(uses) < 2:
            raise UserError(f"{self._classes.root}: too few images can be read; the first: {self.skipped[0]}")

    def _prepare(
        self, content: tuple[Labelled, bytes | ImageError]
    ) -> tuple[Labelled, np.ndarray | ImageError]:
        item, data = content
        if isinstance(data, ImageError):
            return item, data
        try:
            return item, self._model.prepare(decode_image(data, item.name))
        except ImageError as error:
            return item, error

    def vectors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Vectors `[N D]` and labels `[N]` of the readable images, and whether each is held out, `[N]`."""
        features, labels, held_out, waiting = [], [], [], []
        for item, pixels in self:
            labels.append(item.label)
            held_out.append(item.held_out)
            waiting.append(pixels)
            if len(waiting) == BATCH:
                features.append(self._model.encode(waiting).pooled.cpu())
                waiting = []
        if waiting:
            features.append(self._model.encode(waiting).pooled.cpu())
        return torch.cat(features), torch.tensor(labels), torch.tensor(held_out)


def _neighbours(features: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
    """No more neighbours than the smallest class has: the largest would win by its size."""
    smallest = int(labels.bincount()[labels.unique()].min())
    return knn(features, labels, queries, min(NEIGHBOURS, smallest))
