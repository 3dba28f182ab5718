"""RandAugment: each operation does what it is called, none inverts or cuts out; seeded."""

import numpy as np
import pytest
from PIL import Image

from showtell.data.images.rand_augment import MAGNITUDE, OPERATIONS, rand_augment

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(40, 200, (32, 48, 3)).astype(np.uint8)


def run(name, magnitude, pixels=PIXELS):
    return np.asarray(OPERATIONS[name](Image.fromarray(pixels), magnitude)).astype(int)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_keeps_size_and_channels(name):
    for magnitude in (-1.0, -MAGNITUDE, MAGNITUDE, 1.0):
        assert run(name, magnitude).shape == PIXELS.shape


@pytest.mark.parametrize("name", [n for n in OPERATIONS if n not in ("autocontrast", "equalise")])
def test_magnitude_0_changes_nothing(name):
    assert np.abs(run(name, 0.0) - PIXELS).max() <= 1


def test_there_is_neither_inversion_nor_cutout():
    assert not {"invert", "cutout"} & OPERATIONS.keys()
    for name in OPERATIONS:
        for magnitude in (-MAGNITUDE, MAGNITUDE):
            change = np.corrcoef(run(name, magnitude).ravel(), PIXELS.ravel())[0, 1]
            smooth = np.tile(np.linspace(60, 180, 48).astype(np.uint8)[None, :, None], (32, 1, 3))
            assert change > 0 or np.corrcoef(run(name, magnitude, smooth).ravel(), smooth.ravel())[0, 1] > 0


def test_what_each_operation_does():
    dark, light = PIXELS[..., :1].repeat(3, 2) // 4, np.full((8, 8, 3), 250, np.uint8)
    assert run("autocontrast", 0, dark).max() >= 250
    assert run("equalise", 0, dark).std() > 2 * dark.std()
    assert run("brightness", 0.5).mean() > PIXELS.mean() > run("brightness", -0.5).mean()
    assert run("contrast", 0.5).std() > PIXELS.std() > run("contrast", -0.5).std()
    spread = [np.ptp(run("colour", m), axis=2).mean() for m in (-0.5, 0, 0.5)]
    assert spread == sorted(spread)
    edges = [np.abs(np.diff(run("sharpness", m), axis=0)).mean() for m in (-0.5, 0, 0.5)]
    assert edges == sorted(edges)
    assert len(np.unique(run("posterise", 1.0))) <= 16
    assert run("solarise", 0.3, light).max() == 5
    assert np.array_equal(run("solarise", 0.1), PIXELS)
    line = np.zeros((32, 32, 3), np.uint8)
    line[16] = 255
    assert run("translate_y", MAGNITUDE, line)[12].min() > 100
    assert np.array_equal(run("translate_x", MAGNITUDE, line)[16, :20], line[16, :20])
    assert run("shear_y", 1.0, line)[16].sum() < line[16].sum()
    assert np.array_equal(run("shear_x", 1.0, line)[16, :16], line[16, :16])
    assert run("rotate", 1.0, line)[16].sum() < line[16].sum()
    assert np.array_equal(run("identity", 1.0), PIXELS)


def test_two_operations_are_drawn_and_a_seed_draws_the_same():
    first, again = (rand_augment(PIXELS, np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(first, again)
    results = {rand_augment(PIXELS, np.random.default_rng(seed)).tobytes() for seed in range(40)}
    assert len(results) > 30
