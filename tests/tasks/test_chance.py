"""What texts score with images that they describe, and with others."""

import numpy as np
import pytest
import torch

from showtell.tasks.chance import FALSE_ALARMS, Chance


def test_images_of_other_texts_are_told_from_its_own() -> None:
    images = torch.eye(3)
    texts = torch.tensor([[1.0, 0.5, 0.0], [0.9, 0.1, 0.2], [0.0, 1.0, 0.3]])
    found = Chance.of(images, texts, torch.tensor([0, 0, 1]))
    others, own = [0.5, 0.0, 0.1, 0.2, 0.0, 0.3], [1.0, 0.9, 1.0]
    assert found.mismatched_mean == pytest.approx(np.mean(others))
    assert found.mismatched_deviation == pytest.approx(np.std(others, ddof=1))
    assert found.matched_mean == pytest.approx(np.mean(own))
    assert found.matched_deviation == pytest.approx(np.std(own, ddof=1))
    assert Chance.of(images[:1], texts[:2], torch.tensor([0, 0])) is None


@pytest.mark.parametrize("number", [1, 10, 200])
def test_so_many_searches_that_have_an_image_to_find_are_below_the_threshold(number) -> None:
    rng = np.random.default_rng(0)
    own, others = rng.normal(0.4, 0.1, 10_000), rng.normal(0.0, 0.12, (10_000, number))
    others[:, 0] = own
    threshold = Chance(0.0, 0.12, 0.4, 0.1).threshold(number)
    assert (others.max(1) <= threshold).mean() == pytest.approx(FALSE_ALARMS, abs=0.01)


def test_figures_without_it_say_nothing() -> None:
    chance = Chance(0.1, 0.2, 0.5, 0.3)
    figures = {"recall1": 0.5, **chance.figures()}
    assert Chance.recorded(figures) == chance
    del figures["matched_mean"]
    assert Chance.recorded(figures) is None
