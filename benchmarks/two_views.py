"""Two views of a batch of images, against the same recipe in Pillow, albumentations and kornia.

    python benchmarks/two_views.py [--images 128] [--rounds 5]

CPU time on one thread, all alternately; the ratio is that of the medians of Pillow and ours. Batches are of
128, as in the recipes. The two libraries are measured where they are installed. Photographs are crops of
those that installed packages carry.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from showtell.data.images.augment import (
    BYOL,
    SIMCLR,
    SIMCLR_CIFAR,
    SIMSIAM,
    SIMSIAM_CIFAR,
    Augmentation,
    draw_views,
)
from showtell.data.images.decode import load_image
from showtell.data.images.samples import sample_photographs
from table import command, table

RECIPES = {
    "SimCLR, 224 px": (SIMCLR, 256),
    "BYOL, 224 px": (BYOL, 256),
    "SimSiam, 224 px": (SIMSIAM, 256),
    "SimCLR, 32 px": (SIMCLR_CIFAR, 32),
    "SimSiam, 32 px": (SIMSIAM_CIFAR, 32),
}


def photographs(count: int, side: int, seed: int = 0) -> np.ndarray:
    """`uint8 [count side side 3]`: random squares of at least `side` pixels, resized."""
    rng, found = random.Random(seed), [load_image(path) for path in sample_photographs()]
    out = []
    for number in range(count):
        pixels = found[number % len(found)]
        length = rng.randint(min(side, *pixels.shape[:2]), min(pixels.shape[:2]))
        top, left = (rng.randint(0, whole - length) for whole in pixels.shape[:2])
        square = Image.fromarray(pixels[top : top + length, left : left + length])
        out.append(np.asarray(square.resize((side, side))))
    return np.stack(out)


def with_pillow(image: Image.Image, to: Augmentation, rng: random.Random) -> torch.Tensor:
    """One view of one image, step by step."""
    width, height = image.size
    for _ in range(10):
        area = width * height * rng.uniform(*to.area)
        ratio = math.exp(rng.uniform(math.log(to.ratio[0]), math.log(to.ratio[1])))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            break
    else:
        w, h = width, height
    x, y = rng.randint(0, width - w), rng.randint(0, height - h)
    view = image.resize((to.size, to.size), Image.Resampling[to.filter.upper()], (x, y, x + w, y + h))
    if rng.random() < to.flip:
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < to.jitter:
        view = jittered(view, to, rng)
    if rng.random() < to.grey:
        view = view.convert("L").convert("RGB")
    if rng.random() < to.blur:
        view = view.filter(ImageFilter.GaussianBlur(rng.uniform(*to.sigma)))
    if rng.random() < to.solarise:
        view = ImageOps.solarize(view)
    return torch.from_numpy(np.array(view)).permute(2, 0, 1).float() / 255


def all_with_pillow(
    images: list[Image.Image], pair: tuple[Augmentation, ...], rng: random.Random
) -> torch.Tensor:
    """Views of all images, one after another."""
    return torch.stack([torch.stack([with_pillow(image, to, rng) for image in images]) for to in pair])


def jittered(view: Image.Image, to: Augmentation, rng: random.Random) -> Image.Image:
    """Brightness, contrast, saturation and hue in random order."""
    enhancers = (
        (ImageEnhance.Brightness, to.brightness),
        (ImageEnhance.Contrast, to.contrast),
        (ImageEnhance.Color, to.saturation),
        (None, to.hue),
    )
    for enhancer, strength in rng.sample(enhancers, 4):
        if enhancer is not None:
            view = enhancer(view).enhance(rng.uniform(max(0.0, 1 - strength), 1 + strength))
        else:
            hue, saturation, value = view.convert("HSV").split()
            turn = round(255 * rng.uniform(-strength, strength)) % 256
            turned = Image.fromarray(np.asarray(hue) + np.uint8(turn))
            view = Image.merge("HSV", (turned, saturation, value)).convert("RGB")
    return view


def with_albumentations(pair: tuple[Augmentation, ...]) -> Callable[[np.ndarray], torch.Tensor]:
    """Views of all images, `uint8 [B H W 3]`, one after another."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it would look for a newer version on the network
    import albumentations as A
    import cv2

    cv2.setNumThreads(1)

    def compose(to: Augmentation) -> A.Compose:
        filter = cv2.INTER_CUBIC if to.filter == "bicubic" else cv2.INTER_LINEAR
        return A.Compose(
            [
                A.RandomResizedCrop((to.size, to.size), scale=to.area, ratio=to.ratio, interpolation=filter),
                A.HorizontalFlip(p=to.flip),
                A.ColorJitter(to.brightness, to.contrast, to.saturation, to.hue, p=to.jitter),
                A.ToGray(p=to.grey),
                A.GaussianBlur(blur_limit=0, sigma_limit=to.sigma, p=to.blur),
                A.Solarize(p=to.solarise),
            ]
        )

    composed = [compose(to) for to in pair]

    def views(arrays: np.ndarray) -> torch.Tensor:
        made = [torch.from_numpy(one(image=a)["image"]) for one in composed for a in arrays]
        return torch.stack(made).permute(0, 3, 1, 2).float() / 255

    return views


def with_kornia(pair: tuple[Augmentation, ...]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Views of all images, `uint8 [B 3 H W]`, together."""
    import kornia.augmentation as K

    def compose(to: Augmentation) -> K.AugmentationSequential:
        size, taps = (to.size, to.size), 2 * math.ceil(4 * to.sigma[1]) + 1
        return K.AugmentationSequential(
            K.RandomResizedCrop(size, scale=to.area, ratio=to.ratio, resample=to.filter),
            K.RandomHorizontalFlip(p=to.flip),
            K.ColorJitter(to.brightness, to.contrast, to.saturation, to.hue, p=to.jitter),
            K.RandomGrayscale(p=to.grey),
            K.RandomGaussianBlur((taps, taps), to.sigma, p=to.blur),
            K.RandomSolarize(p=to.solarise),
        )

    composed = [compose(to) for to in pair]
    return lambda batch: torch.stack([one(batch.float() / 255) for one in composed])


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng, generator = random.Random(0), torch.Generator().manual_seed(0)
    peers = [name for name in ("albumentations", "kornia") if find_spec(name)]
    rows = []
    for name, (pair, side) in RECIPES.items():
        arrays = photographs(options.images, side)
        batch = torch.from_numpy(arrays).permute(0, 3, 1, 2).contiguous()
        images = [Image.fromarray(array) for array in arrays]
        ways: dict[str, Callable[[], torch.Tensor]] = {
            "Pillow": partial(all_with_pillow, images, pair, rng),
            "ours": partial(draw_views, batch, pair, generator),
        }
        if "albumentations" in peers:
            ways["albumentations"] = partial(with_albumentations(pair), arrays)
        if "kornia" in peers:
            ways["kornia"] = partial(with_kornia(pair), batch)
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(options.rounds + 1):
            for way, make in ways.items():
                started = time.process_time()
                make()
                times[way].append(time.process_time() - started)
        medians = {way: statistics.median(values[1:]) for way, values in times.items()}  # the first warms up
        speeds = [f"{options.images / medians[way]:,.0f}" for way in ("Pillow", *peers, "ours")]
        rows.append([name, *speeds, f"{medians['Pillow'] / medians['ours']:.2f}"])
    command()
    table(["images per second and core", "Pillow", *peers, "ours", "ours / Pillow"], rows)


if __name__ == "__main__":
    main()
