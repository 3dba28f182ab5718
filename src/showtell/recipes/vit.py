"""ViT on one's own labelled pictures: as the paper trained it, and sized for two cores and minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.data.sampler import Sampler
from showtell.errors import UsageError
from showtell.recipes.caches import pixel_preprocess
from showtell.recipes.card import model_card
from showtell.recipes.crops import crops
from showtell.recipes.epochs import epochs
from showtell.recipes.fit import fit
from showtell.recipes.labelled import LabelledPictures, LabelledPixels, find_labelled, load_labelled
from showtell.systems.vit import ViT, ViTConfig
from showtell.train.checkpoint import load_checkpoint
from showtell.train.config import TrainConfig

AT_ONCE = 128
PAPER_STEPS, PAPER_WARMUP = 93_836, 10_000
"""300 times through the 1,281,167 pictures of ImageNet, in batches of 4,096."""


def vit_base(num_pictures: int) -> ViTRecipe:
    """ViT-B/16 as on ImageNet from nothing: 300 times through `num_pictures`, at ever new crops.

    Source: Dosovitskiy et al. 2021, table 3. A departure: a crop is cut from the picture made square.
    """
    batch_size = 4096
    steps = epochs(300, num_pictures, batch_size, at_least=100)
    return ViTRecipe(
        system=ViTConfig(dropout=0.1),
        train=TrainConfig(
            steps=steps,
            batch_size=batch_size,
            learning_rate=3e-3,
            warmup_steps=steps * PAPER_WARMUP // PAPER_STEPS,
            weight_decay=0.3,
            clip_norm=1.0,
            validate_every=1000,
            metric="accuracy",
            higher_is_better=True,
            checkpoint_every=1000,
        ),
        area=(0.08, 1.0),
    )


def vit_mini(num_pictures: int) -> ViTRecipe:
    """For `num_pictures` of 32 pixels a side to learn from, 30 times each, but in 2,000 steps at most.

    Of photographs it sees more with `system.image_size=128` and `system.patch_size=16`, in the same time.
    """
    batch_size = 64
    steps = min(epochs(30, num_pictures, batch_size, at_least=100), 2000)
    return ViTRecipe(
        system=ViTConfig(image_size=32, patch_size=4, width=192, depth=6, num_heads=3, mlp_dim=768),
        train=TrainConfig(
            steps=steps,
            batch_size=batch_size,
            learning_rate=1e-3,
            warmup_steps=steps // 10,
            weight_decay=0.05,
            validate_every=max(steps // 5, 1),
            metric="accuracy",
            higher_is_better=True,
            checkpoint_every=max(steps // 10, 1),
        ),
        area=(0.5, 1.0),
    )


@dataclass(frozen=True)
class ViTRecipe:
    """Everything that decides the result, but the pictures."""

    system: ViTConfig
    """Its classes are those of the data."""
    train: TrainConfig
    area: tuple[float, float]
    """Smallest and largest share of a picture that a crop keeps; every other crop is mirrored."""

    def __post_init__(self) -> None:
        if not 0 < self.area[0] <= self.area[1] <= 1:
            raise UsageError(f"area={self.area}: give two shares of a picture above 0, the smaller one first")
        side, patch = self.system.image_size, self.system.patch_size
        if patch < 1 or side < 1 or side % patch:
            raise UsageError(f"system.image_size={side} is no multiple of system.patch_size={patch}")

    def read(self, data: Path, format: str | None = None) -> LabelledPictures:
        """Pictures with a folder a class, in a folder or a tar archive."""
        return find_labelled(data, format)

    def run(
        self, name: str, data: LabelledPictures, output: Path, *, resume: bool = False, device: str = "cpu"
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
            cut = crops(training[chosen].to(device), recipe.area, (recipe.train.seed, index))
            return Batch(pixels=cut, labels=training.labels[chosen].to(device))

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
            about=f"{len(training)} pictures of {len(classes)} classes to learn from, {len(validation)} to "
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
def measure(system: ViT, pictures: LabelledPixels, device: str = "cpu") -> dict[str, float]:
    """`accuracy`, the share of pictures whose class is found, and `loss`, nats a picture."""
    right = nats = 0.0
    for places in torch.arange(len(pictures)).split(AT_ONCE):
        labels = pictures.labels[places].to(device)
        logits = system.classify(system.embed_image(Batch(pixels=pictures[places.tolist()].to(device))))
        right += float((logits.argmax(1) == labels).sum())
        nats += float(F.cross_entropy(logits, labels, reduction="sum"))
    return {"accuracy": right / len(pictures), "loss": nats / len(pictures)}


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
classes a picture shows: `showtell classify PICTURE --model FOLDER`.
""",
        rows=[
            ("pictures learned from", f"{data['train']:,}"),
            ("pictures the best weights were chosen by", f"{data['val']:,}"),
            ("accuracy on those", f"{figures['accuracy']:.3f} ({chance})"),
            ("side of a picture, pixels", str(settings["image_size"])),
        ],
        more=f"""
Its classes: {", ".join(settings["class_names"])}.

## What it cannot do

It answers with one of its classes whatever a picture shows, also one unlike all it has seen. What its
training pictures of a class had in common, a background too, is what it knows the class by.
""",
    )
