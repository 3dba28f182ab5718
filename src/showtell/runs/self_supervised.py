"""A self-supervised run: unlabelled images in, an image encoder out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from showtell.checkpoint.card import CardFacts
from showtell.data.batch import Batch, ImageBatch
from showtell.data.images.augment import Augmentation, Views, draw_views, seeded
from showtell.data.sampler import Sampler
from showtell.datasets.caches import pixel_preprocess
from showtell.datasets.images import SMALL, Unlabelled, find_unlabelled, load_pixels
from showtell.errors import UsageError
from showtell.nn.backbones.resnet import Stem
from showtell.protocols import ComparesViews, ImageEncoder, Trainable
from showtell.runs.job import Job, SystemConfig, require, sketch
from showtell.runs.length import epochs
from showtell.train.config import TrainConfig

KIND = "self-supervised"
PAPER_SIZE = 224
WATCHED = 128
"""Images at most that the collapse alarm reads."""


@dataclass(frozen=True)
class SelfSupervisedRun:
    """Trains a system that reads augmented views of images."""

    trains_on: ClassVar = "images"

    system: SystemConfig
    train: TrainConfig
    backbone: str | None = None
    """The network, in place of `system.backbone`."""
    stem: Stem | None = None
    """In place of `system.stem`; none takes `cifar` for images of at most 64 pixels."""
    size: int | None = None
    """The side of images and views in pixels; none keeps small images as they are, others at 128."""

    def read(self, data: Path, format: str | None = None) -> Unlabelled:
        """Every image under a folder; captions and labels beside them are not read.

        Raises `UsageError` for a `format`, which only captions have.
        """
        if format is not None:
            raise UsageError(f"--format {format} is for captions; this run reads images alone")
        return find_unlabelled(data)

    def prepare(self, dataset: Unlabelled, device: str) -> Job:
        """Pixels and the system. Without labels nothing says which parameters are best: the last are kept."""
        run = self.settled(dataset)
        assert run.size is not None
        system = run.build()  # a wrong setting is found before the images are read
        pixels = load_pixels(dataset, run.size)
        sampler = Sampler(len(pixels), run.train.batch_size, run.train.seed, distinct=True)
        views = run.views()

        def load_batch(index: int) -> Batch:
            chosen = pixels[sampler(index)].to(device)
            drawn = draw_views(chosen, views, seeded((run.train.seed, index, 1), device))
            return Batch(ImageBatch(views=drawn))

        watched = None
        if isinstance(system, ComparesViews):
            some = pixels[list(range(0, len(pixels), -(-len(pixels) // WATCHED)))].to(device)
            watched = draw_views(some, views, seeded((run.train.seed, 0, 1), device))
        return Job(
            run,
            system,
            load_batch,
            describe=lambda index: ", ".join(pixels.names[i] for i in sampler(index)),
            data={"hash": pixels.hash, "train": len(pixels)},
            about=f"{len(pixels)} unlabelled images of {run.size} x {run.size}",
            card=CardFacts(
                {"training images": f"{len(pixels):,}", "side of an image, pixels": str(run.size)},
                more=f"A network, `{run.backbone}`, trained from scratch on images without labels. "
                "`showtell probe --model FOLDER --data LABELLED` measures what its vectors know.",
            ),
            watched=watched,
            preprocess=pixel_preprocess(run.size),
        )

    def settled(self, dataset: Unlabelled) -> SelfSupervisedRun:
        """The run with everything decided that depends on the images.

        Raises `UsageError` for a size that the system cannot cut into patches.
        """
        size = dataset.usual_size() if self.size is None else self.size
        config: Any = self.system
        backbone = self.backbone or getattr(config, "backbone", None)
        stem = self.stem or ("cifar" if size <= SMALL else getattr(config, "stem", None))
        network = {"backbone": backbone, "stem": stem}
        for name in ("backbone", "stem"):
            require(
                not getattr(self, name) or hasattr(config, name), KIND, self._shape(), f"it has no {name}"
            )
        config = replace(config, **{name: value for name, value in network.items() if hasattr(config, name)})
        if hasattr(config, "with_steps"):
            config = config.with_steps(self.train.steps)
        unit = getattr(config, "size_multiple", 1)
        if size < max(8, 2 * unit) or size % unit:
            raise UsageError(f"size={size}: give a multiple of {unit} pixels, {max(8, 2 * unit)} at least")
        return replace(self, system=config, size=size, stem=stem, backbone=backbone)

    def build(self) -> nn.Module:
        """The system with the initial parameters of its seed."""
        self._shape()
        torch.manual_seed(self.train.seed)
        return self.system.build()

    def views(self) -> Views:
        """The paper's views at the run's size; the blur shrinks as the images do."""
        assert self.size is not None
        photographs, small = self._shape().views
        return tuple(_resized(one, self.size) for one in (small if self.size <= SMALL else photographs))

    def _shape(self) -> Any:
        """The system without parameters: its class says what a run must know."""
        shape = sketch(self.system, KIND, Trainable, ImageEncoder)
        require(hasattr(shape, "views"), KIND, shape, "it names no views of images to read")
        return shape


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
