"""A classification run: labelled images in, a classifier that knows their classes by name out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch.nn import functional as F

from showtell.checkpoint.card import CardFacts
from showtell.data.batch import Batch, ImageBatch, Targets
from showtell.data.images.augment import random_crops
from showtell.data.sampler import Sampler
from showtell.datasets.caches import pixel_preprocess
from showtell.datasets.labelled_images import LabelledImages, LabelledPixels, find_labelled, load_labelled
from showtell.errors import UsageError
from showtell.protocols import ImageClassifier, Trainable
from showtell.runs.job import Job, SystemConfig, require, sketch
from showtell.train.config import TrainConfig
from showtell.wording import counted

CHUNK = 128
"""Images of one batch of a validation."""


@dataclass(frozen=True)
class ClassificationRun:
    """Trains a system that is an `ImageClassifier` on randomly cropped pixels."""

    trains_on: ClassVar = "labelled images"

    system: SystemConfig
    """Its classes are those of the data."""
    train: TrainConfig
    area: tuple[float, float]
    """The smallest and largest share of an image that a crop keeps; every other crop is mirrored."""

    def __post_init__(self) -> None:
        if not 0 < self.area[0] <= self.area[1] <= 1:
            raise UsageError(f"area={self.area}: give two shares of an image above 0, the smaller one first")
        side, patch = self._size, getattr(self.system, "size_multiple", 1)
        if patch < 1 or side < 1 or side % patch:
            raise UsageError(f"system.image_size={side} is no multiple of system.patch_size={patch}")

    @property
    def _size(self) -> int:
        return getattr(self.system, "image_size", 224)

    def read(self, data: Path, format: str | None = None) -> LabelledImages:
        """Images in one folder per class, in a folder or a tar archive."""
        return find_labelled(data, format)

    def prepare(self, dataset: LabelledImages, device: str) -> Job:
        """Pixels and the system; the kept parameters are tested at the end."""
        kind = "classification"
        shape = sketch(self.system, kind, Trainable, ImageClassifier)
        require(getattr(shape, "reads", "") == "pixels", kind, shape, "it does not read pixels")
        config: Any = self.system
        require(hasattr(config, "with_classes"), kind, shape, "its number of classes is fixed")
        names = dataset.classes.names
        run = replace(self, system=config.with_classes(names))
        torch.manual_seed(run.train.seed)
        system = run.system.build()
        training, validation, test = load_labelled(dataset, self._size)
        sampler = Sampler(len(training), run.train.batch_size, run.train.seed)

        def load_batch(index: int) -> Batch:
            chosen = sampler(index)
            cropped = random_crops(training[chosen].to(device), run.area, (run.train.seed, index))
            labels = training.labels[chosen].to(device)
            return Batch(ImageBatch(pixels=cropped), targets=Targets(labels=labels))

        chance = float(validation.labels.bincount().max()) / len(validation)
        return Job(
            run,
            system,
            load_batch,
            describe=lambda index: ", ".join(training.names[i] for i in sampler(index)),
            data={
                "hash": training.hash,
                "train": len(training),
                "val": len(validation),
                "chance": chance,
            },
            about=f"{len(training)} training and {counted(len(validation), 'validation image')} of "
            f"{len(names)} classes",
            card=CardFacts(
                {
                    "training images": f"{len(training):,}",
                    "validation images": f"{len(validation):,}",
                    "side of an image, pixels": str(self._size),
                    "accuracy of always the most frequent class": f"{chance:.3f}",
                },
                {"accuracy": "accuracy", "loss": "negative log-likelihood per image"},
                more=f"Its classes: {', '.join(names)}.",
            ),
            validate=lambda module: measure(module, validation, device),
            test=lambda module: {"accuracy": measure(module, test, device)["accuracy"]},
            preprocess=pixel_preprocess(self._size),
        )


@torch.no_grad()
def measure(system: Any, images: LabelledPixels, device: str = "cpu") -> dict[str, float]:
    """`accuracy`, the share of images whose class is predicted, and `loss`, the mean cross-entropy."""
    right = loss = 0.0
    for places in torch.arange(len(images)).split(CHUNK):
        labels = images.labels[places].to(device)
        batch = Batch(ImageBatch(pixels=images[places.tolist()].to(device)))
        logits = system.classify(system.encode_images(batch))
        right += float((logits.argmax(1) == labels).sum())
        loss += float(F.cross_entropy(logits, labels, reduction="sum"))
    return {"accuracy": right / len(images), "loss": loss / len(images)}
