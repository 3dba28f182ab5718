"""Integrated gradients: exact for a linear score, complete for any, equal to captum's."""

import numpy as np
import pytest
import torch

from showtell.data.batch import Batch, ImageBatch
from showtell.explain.integrated_gradients import integrated_gradients
from support.tiny import build, found


def pair(size: int = 16, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """An image and a baseline, neither constant."""
    generator = torch.Generator().manual_seed(seed)
    image, baseline = torch.rand(2, 3, size, size, generator=generator)
    return image, baseline * 0.2


def class_score(name: str):
    """The log-probability of class 1 under a tiny system."""
    system = build(found()[name]).eval().requires_grad_(False)

    def score(pixels: torch.Tensor) -> torch.Tensor:
        return system.classify(system.encode_images(Batch(ImageBatch(pixels=pixels)))).log_softmax(1)[:, 1]

    return score


def test_a_linear_score_is_attributed_exactly() -> None:
    image, baseline = pair(6)
    weight = torch.randn(3, 6, 6, generator=torch.Generator().manual_seed(1))
    found = integrated_gradients(lambda x: (x * weight).sum((1, 2, 3)) + 4, image, baseline)
    expected = (weight * (image - baseline)).sum(0)  # without the difference it would be the weight alone
    np.testing.assert_allclose(found.heat, expected.numpy(), atol=1e-5)
    assert found.steps == 50
    assert found.error < 1e-5
    assert found.score - found.baseline_score == pytest.approx(found.heat.sum(), abs=1e-4)


def test_the_integral_is_that_of_a_formula() -> None:
    """`f = (sum x)^3` along the line is a polynomial: each pixel gets the whole change times its share."""
    image, baseline = pair(4)
    found = integrated_gradients(lambda x: x.sum((1, 2, 3)) ** 3, image, baseline)
    share = (image - baseline).sum(0) / (image - baseline).sum()
    expected = share * (image.sum() ** 3 - baseline.sum() ** 3)
    np.testing.assert_allclose(found.heat, expected.numpy(), rtol=1e-3)


@pytest.mark.parametrize("name", ["ViT", "ResNetClassifier"])
def test_equals_captum(name: str) -> None:
    captum = pytest.importorskip("captum.attr", reason="pip install captum")
    image, baseline = pair()
    score = class_score(name)
    ours = integrated_gradients(score, image, baseline, tolerance=1e-4, limit=1600)
    reference = captum.IntegratedGradients(score).attribute(
        image[None], baseline[None], n_steps=1600, method="riemann_middle", internal_batch_size=64
    )
    np.testing.assert_allclose(ours.heat, reference[0].sum(0).numpy(), atol=1e-4)
    assert np.abs(ours.heat).max() > 1e-3
    assert ours.error <= 1e-4


def test_steps_go_where_the_score_changes() -> None:
    """All change is in the first hundredth of the path: equal steps miss it, halved ones do not."""
    image, baseline = torch.full((3, 8, 8), 0.9), torch.zeros(3, 8, 8)

    def steep(x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(400 * x.mean((1, 2, 3)))

    found = integrated_gradients(steep, image, baseline)
    assert found.error <= 0.01
    assert found.steps < 120
    equal = integrated_gradients(steep, image, baseline, limit=50)
    assert equal.error > 1
    assert equal.steps == 50


def test_what_cannot_be_complete_ends_at_the_limit_and_says_so() -> None:
    image, baseline = pair(4)

    def jumps(x: torch.Tensor) -> torch.Tensor:
        total = x.sum((1, 2, 3))
        return (total > 10).to(total) + 0 * total  # its gradient is zero wherever it exists

    found = integrated_gradients(jumps, image, baseline, limit=90)
    assert (found.steps, found.error) == (90, 1.0)


def test_an_image_equal_to_its_baseline_has_no_heat() -> None:
    image, _ = pair()
    found = integrated_gradients(class_score("ViT"), image, image)
    assert found.error == found.steps == 0
    assert found.score == found.baseline_score < 0
    assert not found.heat.any()
