"""RandAugment without colour inversion and cutout: both would contradict what a caption says.

Two operations, drawn evenly with replacement, at a fixed magnitude of 9 of 30; those with a direction go
either way. What comes from outside the image is black.
Source: Cubuk et al. 2020, "RandAugment", section 3; Kim et al. 2021, "ViLT", section 4.5 (N = 2, M = 9).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

NUMBER, MAGNITUDE = 2, 9 / 30


def _affine(image: Image.Image, *matrix: float) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def _shift(image: Image.Image, share: float) -> float:
    return share * 100 / 224 * min(image.size)


OPERATIONS: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "identity": lambda image, _: image,
    "autocontrast": lambda image, _: ImageOps.autocontrast(image),
    "equalise": lambda image, _: ImageOps.equalize(image),
    "rotate": lambda image, m: image.rotate(30 * m, Image.Resampling.BILINEAR),
    "posterise": lambda image, m: ImageOps.posterize(image, 8 - round(4 * abs(m))),
    "solarise": lambda image, m: ImageOps.solarize(image, round(256 * (1 - abs(m)))),
    "colour": lambda image, m: ImageEnhance.Color(image).enhance(1 + 0.9 * m),
    "contrast": lambda image, m: ImageEnhance.Contrast(image).enhance(1 + 0.9 * m),
    "brightness": lambda image, m: ImageEnhance.Brightness(image).enhance(1 + 0.9 * m),
    "sharpness": lambda image, m: ImageEnhance.Sharpness(image).enhance(1 + 0.9 * m),
    "shear_x": lambda image, m: _affine(image, 1, 0.3 * m, 0, 0, 1, 0),
    "shear_y": lambda image, m: _affine(image, 1, 0, 0, 0.3 * m, 1, 0),
    "translate_x": lambda image, m: _affine(image, 1, 0, _shift(image, m), 0, 1, 0),
    "translate_y": lambda image, m: _affine(image, 1, 0, 0, 0, 1, _shift(image, m)),
}
"""By name: an RGB image and a magnitude in -1..1, of which 0 changes nothing, to one of the same size."""


def rand_augment(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """`uint8 [H W 3]` to the same shape, changed; the same generator makes the same image.

    >>> pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    >>> rand_augment(pixels, np.random.default_rng(0)).shape
    (4, 4, 3)
    """
    image, names = Image.fromarray(pixels), list(OPERATIONS)
    for place in generator.integers(len(names), size=NUMBER):
        sign = 1 if generator.random() < 0.5 else -1
        image = OPERATIONS[names[place]](image, sign * MAGNITUDE)
    return np.asarray(image)
