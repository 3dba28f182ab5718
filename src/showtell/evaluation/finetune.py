"""Fine-tuning: the whole network trained to classify, starting from its trained parameters."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch, ImageBatch, Targets
from showtell.data.images.augment import random_crops
from showtell.data.labels.images import Labelled
from showtell.data.sampler import Sampler
from showtell.errors import UsageError
from showtell.pipelines.model import Model
from showtell.protocols import ImageEncoder, Step
from showtell.runs.length import epochs
from showtell.train.config import TrainConfig
from showtell.train.loop import train

BATCH = 64
LEARNING_RATE = 5e-4
AT_LEAST = 100
"""Steps at least, for few images."""
AREA = (0.3, 1.0)
"""Smallest and largest share of an image in a crop."""


class Finetuned(nn.Module):
    """An image encoder with one linear layer on its pooled vectors."""

    loss_weights: ClassVar = {"classes": 1.0}

    def __init__(self, system: ImageEncoder, width: int, num_classes: int) -> None:
        super().__init__()
        self.system = system
        self.classifier = nn.Linear(width, num_classes)

    def classify(self, batch: Batch) -> Tensor:
        """Logits `[B num_classes]`."""
        return self.classifier(self.system.encode_images(batch).pooled)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of the images' classes."""
        return Step({"classes": F.cross_entropy(self.classify(batch), batch.targets.labels)})


def finetune(
    model: Model,
    images: Iterable[tuple[Labelled, np.ndarray]],
    at_most: int,
    num_classes: int,
    times: int,
    seed: int,
) -> tuple[Tensor, Tensor, int]:
    """Train for `times` epochs on random crops and mirror images; test on the held-out images.

    `images` are `uint8 [S S 3]`, `at_most` of them. Returns the classes of the held-out ones, `[M]`, the
    network's answers, `[M]`, and the number of training images. The model stays as it is.

    Raises `UsageError` for a network whose pixels pass through a frozen backbone.
    """
    assert model.image_input is not None
    if model.image_input.backbone:
        raise UsageError(f"{model.name} has a frozen backbone, which cannot be fine-tuned; use --kind linear")
    with tempfile.TemporaryDirectory(prefix="showtell-") as folder:
        # On disk: the images of a large folder do not fit in memory.
        shape = (at_most, 3, model.image_input.size, model.image_input.size)
        pixels = np.memmap(Path(folder) / "pixels", np.uint8, "w+", shape=shape)
        labels, flags = [], []
        for place, (item, image) in enumerate(images):
            pixels[place] = image.transpose(2, 0, 1)
            labels.append(item.label)
            flags.append(item.held_out)
        truth, held_out = torch.tensor(labels), torch.tensor(flags)
        training, test = ((~held_out).nonzero()[:, 0], held_out.nonzero()[:, 0])
        torch.manual_seed(seed)
        width = model.encode([pixels[0].transpose(1, 2, 0)]).pooled.shape[1]
        system = Finetuned(deepcopy(model.system).requires_grad_(True), width, num_classes)
        steps = epochs(times, len(training), BATCH, at_least=AT_LEAST)
        config = TrainConfig(
            steps=steps,
            batch_size=BATCH,
            learning_rate=LEARNING_RATE,
            warmup_steps=steps // 10,
            weight_decay=0.05,
            validate_every=0,
            checkpoint_every=0,
            seed=seed,
        )
        sampler = Sampler(len(training), BATCH, seed)

        def load_batch(index: int) -> Batch:
            chosen = training[sampler(index)]
            cut = random_crops(torch.from_numpy(pixels[chosen]), AREA, (seed, index))
            return Batch(ImageBatch(pixels=cut), targets=Targets(labels=truth[chosen]))

        train(system, load_batch, config, Path(folder) / "run", finish=lambda _: None, device=model.device)
        return truth[test], _answers(system.eval(), pixels, test, model.device), len(training)


@torch.no_grad()
def _answers(system: Finetuned, pixels: np.ndarray, test: Tensor, device: str) -> Tensor:
    answers = [
        system.classify(Batch(ImageBatch(pixels=torch.from_numpy(pixels[chunk]).to(device)))).argmax(1).cpu()
        for chunk in test.split(BATCH)
    ]
    return torch.cat(answers)
