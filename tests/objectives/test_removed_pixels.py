"""Reconstruction of removed pixels against loops."""

import pytest
import torch

from showtell.objectives.removed_pixels import removed, removed_pixels


def draw() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    original, prediction = torch.rand(2, 2, 3, 5, generator=generator, dtype=torch.float64)
    seen = original.clone()
    seen[0, 1, 3] += 0.5
    seen[1, 2] = 0.0
    return seen, original, prediction


def test_patches_that_differ_in_any_pixel_were_removed() -> None:
    seen, original, _ = draw()
    assert removed(seen, original).tolist() == [[False, True, False], [False, False, True]]


def test_the_loss_against_loops() -> None:
    seen, original, prediction = draw()
    total = 0.0
    for image, patch in ((0, 1), (1, 2)):
        for value in range(5):
            total += (prediction[image, patch, value] - original[image, patch, value]).item() ** 2
    loss = removed_pixels(prediction, original, removed(seen, original))
    assert loss.item() == pytest.approx(total / 10)


def test_nothing_removed_is_no_loss() -> None:
    _, original, prediction = draw()
    prediction.requires_grad_()
    loss = removed_pixels(prediction, original, removed(original, original))
    loss.backward()
    assert loss.item() == 0
    assert not prediction.grad.any()
