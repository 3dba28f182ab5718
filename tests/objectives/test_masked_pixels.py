"""Masked patches: how many, where, and the loss against loops."""

import math

import pytest
import torch

from showtell.objectives.masked_pixels import mask_patches, mask_some, masked_pixels


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    prediction, target = torch.randn(2, 3, 8, 5, generator=seeded(seed), dtype=torch.float64)
    return prediction, target, mask_patches(3, 2, 4, seeded(seed))


def test_the_loss_against_loops() -> None:
    prediction, target, masked = draw()
    total, count = 0.0, 0
    for image in range(3):
        for patch in range(8):
            if masked[image, patch]:
                for value in range(5):
                    total += abs(prediction[image, patch, value].item() - target[image, patch, value].item())
                    count += 1
    assert masked_pixels(prediction, target, masked).item() == pytest.approx(total / count, abs=1e-6)


def test_the_gradient_is_right_and_reaches_masked_patches_alone() -> None:
    prediction, target, masked = draw()
    prediction.requires_grad_()
    assert torch.autograd.gradcheck(lambda p: masked_pixels(p, target, masked), (prediction,))
    masked_pixels(prediction, target, masked).backward()
    assert torch.equal(prediction.grad.any(2), masked)


@pytest.mark.parametrize("ratio", [0.1, 0.6, 0.75, 1.0])
@pytest.mark.parametrize(("rows", "columns", "unit"), [(6, 6, 1), (4, 12, 2), (12, 12, 4)])
def test_each_image_has_the_same_number_of_masked_squares(rows, columns, unit, ratio) -> None:
    masked = mask_patches(20, rows, columns, seeded(), ratio, unit)
    assert masked.shape == (20, rows * columns)
    squares = rows * columns // unit**2
    assert (masked.sum(1) == math.ceil(ratio * squares) * unit**2).all()
    tiles = masked.view(20, rows // unit, unit, columns // unit, unit).transpose(2, 3).flatten(3)
    assert (tiles.all(-1) == tiles.any(-1)).all()


def test_every_patch_is_masked_at_the_ratio() -> None:
    """Within five standard deviations of a binomial; the seed decides."""
    masked = mask_patches(4000, 5, 5, seeded())
    often = masked.double().mean(0)
    assert (often - 0.6).abs().max() < 5 * math.sqrt(0.6 * 0.4 / 4000)
    assert torch.equal(masked, mask_patches(4000, 5, 5, seeded()))
    assert not torch.equal(masked, mask_patches(4000, 5, 5, seeded(1)))


def test_squares_must_tile_the_image() -> None:
    with pytest.raises(ValueError, match="squares of 4 patches do not tile 6 by 8"):
        mask_patches(1, 6, 8, seeded(), unit=4)


def test_some_real_patches_of_each_image_are_masked_at_the_rate() -> None:
    keep = torch.arange(40) < torch.tensor([40, 25, 1])[:, None]
    draws = [mask_some(keep, 0.15, torch.Generator().manual_seed(seed)) for seed in range(400)]
    counts = torch.stack([masked.sum(1) for masked in draws])
    assert not any((masked & ~keep).any() for masked in draws)
    assert counts.min() == 1
    assert counts[:, 2].eq(1).all()
    assert counts[:, 0].float().mean().item() == pytest.approx(
        0.15 * 40, abs=4 * (0.15 * 0.85 * 40 / 400) ** 0.5
    )
    assert mask_some(keep, 1.0, None).equal(keep)
