"""The deletion curve: a map of what a score depends on falls fast, a misleading one slowly."""

import numpy as np
import pytest
import torch

from showtell.explain.deletion import deletion, patch_sums
from showtell.explain.integrated_gradients import integrated_gradients

SIDE = 28
PATCHES = np.arange(SIDE)[:, None] // 2 * 14 + np.arange(SIDE) // 2
PLANTED = slice(4, 8), slice(20, 24)  # four of the 14 x 14 patches


def looks_at_one_place(pixels: torch.Tensor) -> torch.Tensor:
    return pixels[:, :, PLANTED[0], PLANTED[1]].mean((1, 2, 3)).sqrt()


def image_and_baseline() -> tuple[torch.Tensor, torch.Tensor]:
    image = torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    return image, torch.full_like(image, 0.01)


def test_heat_is_where_the_planted_score_looks_and_its_removal_ends_the_score() -> None:
    image, baseline = image_and_baseline()
    heat = integrated_gradients(looks_at_one_place, image, baseline).heat
    elsewhere = heat.copy()
    elsewhere[PLANTED] = 0
    assert not elsewhere.any()
    curves = deletion(looks_at_one_place, image, baseline, heat, PATCHES)
    low = float(looks_at_one_place(baseline[None]))
    assert curves.attributed[1:] == pytest.approx([low] * 14, abs=1e-5)  # gone with the first 14 patches
    assert curves.area < curves.random_area - 2 * curves.random_deviation
    worst = deletion(looks_at_one_place, image, baseline, -heat, PATCHES)
    assert worst.area > curves.random_area


def test_a_curve_goes_from_the_image_to_the_baseline_and_follows_the_order() -> None:
    image, baseline = image_and_baseline()
    heat = np.random.default_rng(0).random((SIDE, SIDE))
    curves = deletion(lambda x: x.mean((1, 2, 3)), image, baseline, heat, PATCHES)
    assert curves.removed == pytest.approx(np.linspace(0, 1, 15))
    assert curves.attributed[0] == curves.random[0] == pytest.approx(float(image.mean()))
    assert curves.attributed[-1] == curves.random[-1] == pytest.approx(0.01)
    order = np.argsort(-patch_sums(heat, PATCHES))
    removed = image.clone()
    for patch in order[:42]:
        row, column = 2 * (patch // 14), 2 * (patch % 14)
        removed[:, row : row + 2, column : column + 2] = 0.01
    assert curves.attributed[3] == pytest.approx(float(removed.mean()), abs=1e-6)
    assert curves.area == pytest.approx(np.trapezoid(curves.attributed, curves.removed))


def test_random_orders_follow_the_seed() -> None:
    image, baseline = image_and_baseline()
    heat = np.ones((SIDE, SIDE))
    first, again, other = (
        deletion(looks_at_one_place, image, baseline, heat, PATCHES, seed) for seed in (0, 0, 1)
    )
    assert first == again
    assert first.random != other.random
    assert first.attributed == other.attributed
