"""The complete run of a classifier: labelled images in, a checkpoint that names their classes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional as F

from showtell.checkpoint.card import model_card
from showtell.checkpoint.save_load import load_checkpoint
from showtell.data.batch import Batch, ImageBatch, Targets
from showtell.data.images.augment import random_crops
from showtell.data.sampler import Sampler
from showtell.datasets.cache import pixel_preprocess
from showtell.datasets.labelled_images import LabelledImages, LabelledPixels, find_labelled, load_labelled
from showtell.errors import UsageError
from showtell.runs.execute import fit
from showtell.systems.vit import ViT, ViTConfig
from showtell.train.config import TrainConfig

AT_ONCE = 128


@dataclass(frozen=True)
class ClassificationRun:
    """Everything that decides the result, but the images."""

    system: ViTConfig
    """Its classes are those of the data."""
    train: TrainConfig
    area: tuple[float, float]
    """Smallest and largest share of an image that a crop keeps; every other crop is mirrored."""

    def __post_init__(self) -> None:
        if not 0 < self.area[0] <= self.area[1] <= 1:
            raise UsageError(f"area={self.area}: give two shares of an image above 0, the smaller one first")
        side, patch = self.system.image_size, self.system.patch_size
        if patch < 1 or side < 1 or side % patch:
            raise UsageError(f"system.image_size={side} is no multiple of system.patch_size={patch}")

    def read(self, data: Path, format: str | None = None) -> LabelledImages:
        """Images with a folder a class, in a folder or a tar archive."""
        return find_labelled(data, format)

    def run(
        self, name: str, data: LabelledImages, output: Path, *, resume: bool = False, device: str = "cpu"
    ) -> dict[str, Any]:
        """Train, write `output/model`; return what was reached, `test_accuracy` of the kept weights too."""
        classes = data.classes.names
        recipe = replace(self, system=replace(self.system, num_classes=len(classes), class_names=classes))
        torch.manual_seed(recipe.train.seed)
        system, size = ViT(recipe.system), recipe.system.image_size
        training, validation, test = load_labelled(data, size)
        sampler = Sampler(len(training), recipe.train.batch_size, recipe.train.seed)

        def load_batch(index: int) -> Batch:
            chosen = sampler(index)
            cut = random_crops(training[chosen].to(device), recipe.area, (recipe.train.seed, index))
            return Batch(ImageBatch(pixels=cut), targets=Targets(labels=training.labels[chosen].to(device)))

        reached = fit(
            system,
            recipe,
            output,
            name=name,
            data={
                "hash": training.hash,
                "train": len(training),
                "val": len(validation),
                "chance": float(validation.labels.bincount().max()) / len(validation),
            },
            about=f"{len(training)} images of {len(classes)} classes to learn from, {len(validation)} to "
            "choose by",
            load_batch=load_batch,
            validate=lambda vit: measure(cast(ViT, vit), validation, device),
            describe=lambda index: ", ".join(training.names[i] for i in sampler(index)),
            preprocess=pixel_preprocess(size),
            card=_card,
            resume=resume,
            device=device,
        )
        kept = cast(ViT, load_checkpoint(output / "model", device).system)
        return {**reached, "test_accuracy": measure(kept, test, device)["accuracy"]}


@torch.no_grad()
def measure(system: ViT, images: LabelledPixels, device: str = "cpu") -> dict[str, float]:
    """`accuracy`, the share of images whose class is found, and `loss`, nats an image."""
    right = nats = 0.0
    for places in torch.arange(len(images)).split(AT_ONCE):
        labels = images.labels[places].to(device)
        logits = system.classify(
            system.encode_images(Batch(ImageBatch(pixels=images[places.tolist()].to(device))))
        )
        right += float((logits.argmax(1) == labels).sum())
        nats += float(F.cross_entropy(logits, labels, reduction="sum"))
    return {"accuracy": right / len(images), "loss": nats / len(images)}


def _card(name: str, system: nn.Module, facts: Mapping[str, Any], figures: Mapping[str, float]) -> str:
    """Markdown for the README.md of the checkpoint."""
    settings, data = facts["settings"]["system"], facts["data"]
    chance = f"always the most frequent class: {data['chance']:.3f}"
    return model_card(
        name,
        system,
        facts,
        what=f"""
A transformer over patches of {settings["patch_size"]} pixels, trained from nothing. It says which of its
classes an image shows: `showtell classify IMAGE --model FOLDER`.
""",
        rows=[
            ("images learned from", f"{data['train']:,}"),
            ("images the best weights were chosen by", f"{data['val']:,}"),
            ("accuracy on those", f"{figures['accuracy']:.3f} ({chance})"),
            ("side of an image, pixels", str(settings["image_size"])),
        ],
        more=f"""
Its classes: {", ".join(settings["class_names"])}.

## What it cannot do

It answers with one of its classes whatever an image shows, also one unlike all it has seen. What its
training images of a class had in common, a background too, is what it knows the class by.
""",
    )
