"""Whether a model tells images that are unlike its training images from those that are like them.

    python benchmarks/familiarity.py --data DATA [--model M] [--images 150] [--seed 0]

DATA is a folder of data sets. Alike: photographs of Flickr8k's `val`. Unlike: receipts (`sroie/images`),
drawings (`easy_vqa/test`, `nlvr/images`), images of 32 pixels (`cifar10`), and textures: squares of a quarter
to a half of three photographs of brick, grass and gravel that scikit-image carries.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from showtell.data.captions.read import read_captions
from showtell.data.images.decode import decode_image, load_image
from showtell.data.images.files import find_images
from showtell.data.images.samples import sample_photographs
from showtell.data.labels.images import read_classes
from showtell.datasets.captions import divide
from showtell.pipelines.model import Model, load_model
from table import command, table

BATCH = 16


def files(paths: list[Path], draw: random.Random, count: int) -> Iterator[np.ndarray]:
    """Some of the files, decoded."""
    for path in draw.sample(paths, min(count, len(paths))):
        yield load_image(path)


def textures(draw: random.Random, count: int) -> Iterator[np.ndarray]:
    """Squares cut out of photographs of surfaces."""
    surfaces = [load_image(p) for p in sample_photographs() if p.stem in ("brick", "grass", "gravel")]
    for number in range(count):
        pixels = surfaces[number % len(surfaces)]
        side = draw.randint(min(pixels.shape[:2]) // 4, min(pixels.shape[:2]) // 2)
        top, left = (draw.randint(0, length - side) for length in pixels.shape[:2])
        yield pixels[top : top + side, left : left + side]


def small(archive: Path, draw: random.Random, count: int) -> Iterator[np.ndarray]:
    """Some held-out images of an archive of classes."""
    classes = read_classes(archive)
    chosen = draw.sample([item for item in classes.items if item.held_out], count)
    for item, content in classes.contents(chosen):
        if isinstance(content, bytes):
            yield decode_image(content, Path(item.name))


def familiarities(model: Model, images: Iterator[np.ndarray]) -> np.ndarray:
    """Of each image; below 1 it is called unfamiliar."""
    prepared = [model.prepare(image) for image in images]
    found = []
    for first in range(0, len(prepared), BATCH):
        features = model.encode(prepared[first : first + BATCH]).features
        assert features is not None
        assert model.familiarity is not None
        found.append(model.familiarity(features))
    return torch.cat(found).numpy()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", help="a checkpoint folder; default: the shipped captioner")
    parser.add_argument("--images", type=int, default=150, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model, draw, count = load_model(options.model), random.Random(options.seed), options.images
    held_out = [entry.path for entry in divide(read_captions(options.data / "flickr8k").entries)["val"]]
    command()
    alike = familiarities(model, files(held_out, draw, count))
    print(f"Model `{model.name}`. Called unfamiliar: {(alike < 1).mean():.3f} of {len(alike)} photographs.\n")
    unlike = {
        "receipts": files(find_images(options.data / "sroie" / "images"), draw, count),
        "drawings of easy-VQA": files(find_images(options.data / "easy_vqa" / "test"), draw, count),
        "drawings of NLVR": files(find_images(options.data / "nlvr" / "images"), draw, count),
        "textures": textures(draw, count),
        "CIFAR-10, 32 pixels": small(options.data / "cifar10" / "cifar10-jpeg.tar.xz", draw, count),
    }
    rows = []
    for name, images in unlike.items():
        found = familiarities(model, images)
        area = roc_auc_score(np.repeat([1, 0], [len(alike), len(found)]), np.concatenate([alike, found]))
        rows.append([name, len(found), f"{area:.3f}", f"{(found < 1).mean():.3f}"])
    table(["unlike", "images", "AUROC", "called unfamiliar"], rows)


if __name__ == "__main__":
    main()
