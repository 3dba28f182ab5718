"""Found, not registered: a new system, kind of run and recipe are three new files and no edited one."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import showtell

SYSTEM = '''
"""The mean colour of an image, from its linear projection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from showtell.data.batch import Batch
from showtell.protocols import Encoded, Step


@dataclass(frozen=True)
class ColourConfig:
    """A vector of two numbers."""

    width: int = 2
    """Of an image's vector."""

    def build(self) -> Colour:
        """The system with these numbers, untrained."""
        return Colour(self)


class Colour(nn.Module):
    """Predicts an image's mean colour from its vector."""

    Config: ClassVar = ColourConfig
    reads: ClassVar = "pixels"
    loss_weights: ClassVar = {"colour": 1.0}

    def __init__(self, config: ColourConfig) -> None:
        super().__init__()
        self.config = config
        self.down, self.up = nn.Linear(3, config.width), nn.Linear(config.width, 3)

    def encode_images(self, batch: Batch) -> Encoded:
        """One token per image."""
        pooled = self.down(batch.images.pixels.float().mean((2, 3)) / 255)
        return Encoded(pooled[:, None], pooled)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """The squared error of the colour."""
        colour = batch.images.pixels.float().mean((2, 3)) / 255
        return Step({"colour": (self.up(self.encode_images(batch).pooled) - colour).square().mean()})
'''
RUN = '''
"""A run on square images as they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from showtell.checkpoint.card import CardFacts
from showtell.data.batch import Batch, ImageBatch
from showtell.data.sampler import Sampler
from showtell.datasets.caches import pixel_preprocess
from showtell.datasets.images import Unlabelled, find_unlabelled, load_pixels
from showtell.runs.job import Job, SystemConfig
from showtell.train.config import TrainConfig


@dataclass(frozen=True)
class PlainRun:
    """Trains a system that reads pixels."""

    trains_on: ClassVar = "images"

    system: SystemConfig
    train: TrainConfig
    size: int = 16
    """Pixels per side."""

    def read(self, data: Path, format: str | None = None) -> Unlabelled:
        """Every image under a folder."""
        return find_unlabelled(data)

    def prepare(self, dataset: Unlabelled, device: str) -> Job:
        """Pixels and the system."""
        pixels = load_pixels(dataset, self.size)
        sampler = Sampler(len(pixels), self.train.batch_size, self.train.seed)
        torch.manual_seed(self.train.seed)
        return Job(
            self,
            self.system.build(),
            load_batch=lambda index: Batch(ImageBatch(pixels=pixels[sampler(index)])),
            describe=lambda index: ", ".join(pixels.names[i] for i in sampler(index)),
            data={"hash": pixels.hash},
            about=f"{len(pixels)} images",
            card=CardFacts({"training images": str(len(pixels))}),
            preprocess=pixel_preprocess(self.size),
        )
'''
RECIPE = '''
"""Colours."""

from showtell.runs.plain import PlainRun
from showtell.systems.colour import ColourConfig
from showtell.train.config import TrainConfig


def colour_mini(num_images: int) -> PlainRun:
    """Mean colours, by two linear layers.

    Paper: Nobody 2026, "Colours"
    Time: a second
    """
    return PlainRun(ColourConfig(), TrainConfig(steps=20, batch_size=4, warmup_steps=2, validate_every=0))
'''


@pytest.fixture(scope="module")
def grown(tmp_path_factory) -> Path:
    """A copy of the package with three files more; the folder to put on the path."""
    root = tmp_path_factory.mktemp("grown")
    source = Path(showtell.__file__).parent
    shutil.copytree(source, root / "showtell", ignore=shutil.ignore_patterns("__pycache__"))
    for name, content in (("systems/colour", SYSTEM), ("runs/plain", RUN), ("recipes/colour", RECIPE)):
        file = root / "showtell" / f"{name}.py"
        assert not file.exists()
        file.write_text(content)
    return root


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    pixels = np.random.default_rng(0).integers(0, 256, (8, 20, 24, 3), dtype=np.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{number}.png")
    return folder


def python(grown: Path, *arguments: object) -> str:
    environment = {**os.environ, "PYTHONPATH": str(grown), "XDG_CACHE_HOME": str(grown / "cache")}
    return subprocess.run(
        [sys.executable, *map(str, arguments)], env=environment, text=True, capture_output=True, check=True
    ).stdout


@pytest.mark.slow
def test_a_new_system_is_listed_trained_saved_loaded_and_embeds(grown, images, tmp_path) -> None:
    listed = map(json.loads, python(grown, "-m", "showtell", "train", "--list", "--json").splitlines())
    assert {"name": "colour_mini", "trains_on": "images", "time": "a second"}.items() <= {
        recipe["name"]: recipe for recipe in listed
    }["colour_mini"].items()
    shown = python(grown, "-m", "showtell", "train", "colour_mini", "--show")
    assert "Of an image's vector." in shown
    run = ["train", "colour_mini", "--data", images, "--output", tmp_path / "run"]
    reached = json.loads(python(grown, "-m", "showtell", *run, "--set", "system.width=3", "--json"))
    assert reached["steps"] == 20
    card = Path(reached["model"], "README.md").read_text()
    assert "Colour, trained with the recipe `colour_mini`" in card
    assert "`showtell similar`" in card
    program = (
        "import sys, showtell; model = showtell.load_model(sys.argv[1], device='cpu');"
        "print(model.encode_images([sys.argv[2]]).shape)"
    )
    assert python(grown, "-c", program, tmp_path / "run", images / "0.png").strip() == "(1, 3)"
