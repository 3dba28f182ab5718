"""What the vectors of a model know of labelled items: by neighbours, by one layer, or all learned anew."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
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
from showtell.evaluation.probe_report import ProbeReport, report
from showtell.evaluation.probe_texts import probe_texts
from showtell.pipelines.model import Model, load_model
from showtell.protocols import ImageEncoder
from showtell.tasks.probe import few_labels, knn, linear_probe
from showtell.wording import counted

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
    progress: Callable[[int, int], None] | None = None,
) -> ProbeReport:
    """Learn the classes of labelled images or texts, and measure on those held out.

    Images lie in a folder or tar archive, a folder a class. `knn`, taken when nothing is said, lets the
    nearest labelled images vote; `linear` trains one layer on vectors as they are; `finetune` trains the
    network too, `epochs` times through. Texts lie in `.jsonl` or `.tsv` files; they are probed by `linear`,
    and up to `max_length` tokens of each are read. `labels_per_class` labelled items of each class are drawn
    by `seed`; None takes all. Without a model, the shipped one.

    Raises `UserError` for data without two classes, `UsageError` for a class with too few labels, for a kind
    or `max_length` that the data cannot have, and for a model that does not see images or read texts, or
    whose network is frozen (`finetune`).
    """
    if labelled_files(Path(data)):
        if kind not in (None, "linear"):
            raise UsageError(f"texts are probed by --kind linear, not by {kind}")
        return probe_texts(
            data,
            model,
            labels_per_class=labels_per_class,
            max_length=max_length,
            seed=seed,
            progress=progress,
        )
    if max_length is not None:
        raise UsageError(f"{data} holds no labelled texts, of which --max-length is")
    kind = kind or "knn"
    model = model or load_model()
    model.require(ImageEncoder)
    classes = read_classes(Path(data))
    wanted = choose(classes, labels_per_class, seed)
    read = _Reading(classes, wanted, model, progress)
    if kind == "finetune":
        truth, answers, learned = finetune(model, read, len(wanted), len(classes.names), epochs, seed)
    else:
        features, labels, measured = read.vectors()
        known, truth = labels[~measured], labels[measured]
        answer = _neighbours if kind == "knn" else linear_probe
        answers, learned = answer(features[~measured], known, features[measured]), len(known)
    if read.skipped:
        skipped = counted(len(read.skipped), "image")
        print(f"{skipped} skipped, the first: {read.skipped[0]}", file=sys.stderr)
    return report(kind, truth, answers, classes.names, learned, len(read.skipped), model.name)


def choose(classes: Classes, labels_per_class: int | None, seed: int) -> list[Labelled]:
    """The images that are read: all that are measured on, and all or some to learn from."""
    learned = [item for item in classes.items if not item.measured]
    if labels_per_class is not None:
        labels = torch.tensor([item.label for item in learned])
        learned = [learned[place] for place in few_labels(labels, labels_per_class, seed, classes.names)]
    return [*learned, *(item for item in classes.items if item.measured)]


class _Reading:
    """Reads chosen images one after another, and remembers which could not be."""

    def __init__(
        self,
        classes: Classes,
        wanted: Collection[Labelled],
        model: Model,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._classes, self._wanted, self._model, self._progress = classes, wanted, model, progress
        self.skipped: list[str] = []

    def __iter__(self) -> Iterator[tuple[Labelled, np.ndarray]]:
        """Each readable image, `uint8 [S S 3]`, prepared for the model.

        Raises `UserError` at the end when none was left to learn from, or to measure on.
        """
        contents, uses = self._classes.contents(self._wanted), set()
        for done, (item, outcome) in enumerate(prefetch(self._prepare, contents), 1):
            if isinstance(outcome, ImageError):
                self.skipped.append(str(outcome))
            else:
                uses.add(item.measured)
                yield item, outcome
            if self._progress:
                self._progress(done, len(self._wanted))
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
        """Of each readable image its vector `[N D]`, its label `[N]`, and whether it is measured on."""
        features, labels, measured, waiting = [], [], [], []
        for item, pixels in self:
            labels.append(item.label)
            measured.append(item.measured)
            waiting.append(pixels)
            if len(waiting) == BATCH:
                features.append(self._model.encode(waiting).pooled)
                waiting = []
        if waiting:
            features.append(self._model.encode(waiting).pooled)
        return torch.cat(features), torch.tensor(labels), torch.tensor(measured)


def _neighbours(features: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
    """No more neighbours than the smallest class has: else the largest class would win by its size."""
    smallest = int(labels.bincount()[labels.unique()].min())
    return knn(features, labels, queries, min(NEIGHBOURS, smallest))
