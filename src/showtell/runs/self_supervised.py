"""The complete run of a system that learns from unlabelled images: a folder in, a checkpoint out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from showtell.checkpoint.card import model_card
from showtell.data.batch import Batch, ImageBatch
from showtell.data.images import augment
from showtell.data.images.augment import Augmentation, Views, draw_views, seeded
from showtell.data.sampler import Sampler
from showtell.datasets.cache import pixel_preprocess
from showtell.datasets.images import SMALL, Unlabelled, find_unlabelled, load_pixels
from showtell.errors import UsageError
from showtell.nn.backbones.resnet import Stem
from showtell.nn.backbones.vit import PATCH_SIZE
from showtell.runs.collapse_alarm import Alarm
from showtell.runs.epochs import epochs
from showtell.runs.execute import fit
from showtell.systems.byol import BYOL, BYOLConfig
from showtell.systems.simclr import SimCLR, SimCLRConfig
from showtell.systems.simmim import SimMIM, SimMIMConfig
from showtell.systems.simsiam import SimSiam, SimSiamConfig
from showtell.train.config import TrainConfig

Config = SimCLRConfig | BYOLConfig | SimSiamConfig | SimMIMConfig
KINDS: dict[type[Any], tuple[type[nn.Module], Views, Views]] = {
    SimCLRConfig: (SimCLR, augment.SIMCLR, augment.SIMCLR_CIFAR),
    BYOLConfig: (BYOL, augment.BYOL, augment.BYOL_CIFAR),
    SimSiamConfig: (SimSiam, augment.SIMSIAM, augment.SIMSIAM_CIFAR),
    SimMIMConfig: (SimMIM, augment.SIMMIM, augment.SIMMIM),
}
"""Of each configuration: its system, and the views of photographs and of small images."""
PAPER_SIZE = 224
WATCHED = 128
"""Images at most that the alarm looks at."""


@dataclass(frozen=True)
class SelfSupervisedRun:
    """Everything that decides the result, but the images."""

    system: Config
    train: TrainConfig
    backbone: str | None = None
    """In place of `system.backbone`."""
    stem: Stem | None = None
    """In place of `system.stem`; None takes `cifar` for images of at most 64 pixels."""
    size: int | None = None
    """The side of images and views in pixels; None keeps small images as they are, others at 128."""

    def read(self, data: Path, format: str | None = None) -> Unlabelled:
        """Every image under a folder; captions and labels beside them are not looked at.

        Raises `UsageError` for a `format`, which captions have.
        """
        if format is not None:
            raise UsageError(
                f"--format {format} is of captions; images alone are read whatever is beside them"
            )
        return find_unlabelled(data)

    def run(
        self,
        name: str,
        data: Unlabelled,
        output: Path,
        *,
        resume: bool = False,
        device: str = "cpu",
        validate: Callable[[nn.Module], Mapping[str, float]] | None = None,
    ) -> dict[str, Any]:
        """Train, write `output/model` and the curves of the run's health; return what was reached.

        Without labels nothing says which weights are best: the last are kept, unless `validate` measures.
        Raises `UserError` when the run collapses.
        """
        recipe = self.settled(data)
        assert recipe.size is not None
        system = recipe.build()  # a wrong setting is found before the images are read
        pixels = load_pixels(data, recipe.size)
        sampler = Sampler(len(pixels), recipe.train.batch_size, recipe.train.seed, distinct=True)
        views = recipe.views()

        def load_batch(index: int) -> Batch:
            chosen = pixels[sampler(index)].to(device)
            return Batch(
                ImageBatch(views=draw_views(chosen, views, seeded((recipe.train.seed, index, 1), device)))
            )

        alarm = None
        if not isinstance(recipe.system, SimMIMConfig):  # which has nothing that could collapse
            watched = pixels[list(range(0, len(pixels), -(-len(pixels) // WATCHED)))].to(device)
            alarm = Alarm(
                draw_views(watched, views, seeded((recipe.train.seed, 0, 1), device)), output, resume
            )
        reached = fit(
            system,
            recipe,
            output,
            name=name,
            data={"hash": pixels.hash, "train": len(pixels)},
            about=f"{len(pixels)} images of {recipe.size} x {recipe.size} to learn from, without labels",
            load_batch=load_batch,
            validate=validate,
            monitor=alarm,
            describe=lambda index: ", ".join(pixels.names[i] for i in sampler(index)),
            preprocess=pixel_preprocess(recipe.size),
            card=_card,
            resume=resume,
            device=device,
        )
        if alarm:
            alarm.draw()
        return reached

    def settled(self, data: Unlabelled) -> SelfSupervisedRun:
        """The recipe with everything decided that waits for the images.

        Raises `UsageError` for a size that the system cannot cut into patches.
        """
        size = data.usual_size() if self.size is None else self.size
        stem = self.stem or ("cifar" if size <= SMALL else self.system.stem)
        system = replace(self.system, backbone=self.backbone or self.system.backbone, stem=stem)
        if isinstance(system, BYOLConfig):
            system = replace(system, total_steps=self.train.steps)
        unit = PATCH_SIZE[stem] * system.mask_unit if isinstance(system, SimMIMConfig) else 1
        if size < max(8, 2 * unit) or size % unit:
            raise UsageError(f"size={size}: give a multiple of {unit} pixels, {max(8, 2 * unit)} at least")
        return replace(self, system=system, size=size, stem=stem, backbone=system.backbone)

    def build(self) -> nn.Module:
        """The system as its seed begins it."""
        torch.manual_seed(self.train.seed)
        return KINDS[type(self.system)][0](self.system)

    def views(self) -> Views:
        """The paper's views at the recipe's size; the blur shrinks as the images do."""
        assert self.size is not None
        _, photographs, small = KINDS[type(self.system)]
        return tuple(_resized(one, self.size) for one in (small if self.size <= SMALL else photographs))


def short_training(num_images: int, times: int, batch_size: int = 128) -> TrainConfig:
    """Each image read `times` times, in minutes on two cores."""
    batch_size = min(batch_size, max(num_images, 2))
    steps = epochs(times, num_images, batch_size, at_least=100)
    return TrainConfig(
        steps=steps,
        batch_size=batch_size,
        learning_rate=1e-3,
        warmup_steps=steps // 10,
        validate_every=0,
        watch_every=20,
    )


def _resized(one: Augmentation, size: int) -> Augmentation:
    sharpest, widest = one.sigma
    return replace(one, size=size, sigma=(sharpest, max(sharpest, widest * min(size / PAPER_SIZE, 1))))


def _card(name: str, system: nn.Module, facts: Mapping[str, Any], figures: Mapping[str, float]) -> str:
    """Markdown for the README.md of the checkpoint."""
    return model_card(
        name,
        system,
        facts,
        what=f"""
A network, `{facts["settings"]["backbone"]}` and what trained it, that turns an image into a vector. It was
trained from nothing on images without labels: alike images get alike vectors. It finds similar images,
draws maps, and is where a classifier with few labels may begin; it knows no words.
""",
        rows=[
            ("images learned from", f"{facts['data']['train']:,}"),
            ("side of an image, pixels", str(facts["settings"]["size"])),
        ],
        more="""
`showtell probe FOLDER --data LABELLED` measures what its vectors know.

## What it cannot do

What counts as alike is what the training's changes of crop and colour leave as it is. Nothing says what a
image shows. With few images its vectors tell colours and textures, little more.
""",
    )
