"""Familiarity is the density of probabilistic PCA, and tells apart what the training images never showed."""

import numpy as np
import torch

from showtell.tasks.familiarity import FALSE_ALARMS, Familiarity


def images(count: int, seed: int, width: int = 90) -> torch.Tensor:
    """Non-negative features that vary in a few directions, as those of a network do."""
    generator = torch.Generator().manual_seed(seed)
    ways = torch.rand(6, width, generator=torch.Generator().manual_seed(9))
    noise = 0.05 * torch.rand(count, width, generator=generator)
    return torch.rand(count, 6, generator=generator) @ ways + noise


def test_the_distance_is_that_of_the_full_covariance_of_the_model() -> None:
    """Oracle: Mahalanobis with C = sum l v v' + s^2 (1 - sum v v'), inverted as a matrix."""
    known = Familiarity.fit(images(400, 0), images(100, 1))
    v, variances = known.components.double().numpy(), known.variances.double().numpy()
    covariance = v.T @ np.diag(variances) @ v + float(known.rest) * (np.eye(v.shape[1]) - v.T @ v)
    inverse = np.linalg.inv(covariance)
    new = images(5, 2)
    unit = (new / new.norm(dim=1, keepdim=True)).double().numpy() - known.mean.double().numpy()
    expected = np.einsum("bi,ij,bj->b", unit, inverse, unit)
    np.testing.assert_allclose(known.distance(new).numpy(), expected, rtol=1e-3)


def test_few_held_out_images_and_all_strange_ones_are_beyond_the_threshold() -> None:
    known = Familiarity.fit(images(2000, 0), images(1000, 1))
    assert (known(images(1000, 3)) < 1).float().mean() <= FALSE_ALARMS + 0.02
    strange = torch.rand(200, 90, generator=torch.Generator().manual_seed(5))
    assert (known(strange) < 1).all()
    torch.testing.assert_close(
        known(7 * images(50, 3)), known(images(50, 3)), rtol=1e-3, atol=0
    )  # the length says nothing


def test_what_a_file_holds_gives_the_same_answers() -> None:
    known = Familiarity.fit(images(300, 0), images(100, 1))
    again = Familiarity.of(known.tensors())
    torch.testing.assert_close(again(images(20, 4)), known(images(20, 4)), rtol=0.05, atol=0)


def test_fewer_images_than_components_are_enough() -> None:
    known = Familiarity.fit(images(12, 0), images(4, 1))
    assert known.components.shape == (11, 90)
    assert known(images(3, 2)).isfinite().all()
