"""What texts score with images that they do not describe."""

import numpy as np
import pytest
import torch

from showtell.tasks.chance import Chance


def test_only_images_of_other_texts_count() -> None:
    images = torch.eye(3)
    texts = torch.tensor([[1.0, 0.5, 0.0], [0.9, 0.1, 0.2], [0.0, 1.0, 0.3]])
    found = Chance.of(images, texts, torch.tensor([0, 0, 1]))
    others = [0.5, 0.0, 0.1, 0.2, 0.0, 0.3]
    assert found.mean == pytest.approx(np.mean(others))
    assert found.deviation == pytest.approx(np.std(others, ddof=1))


def test_the_best_of_many_is_the_median_of_draws() -> None:
    drawn = np.random.default_rng(0).normal(0.1, 0.2, (4000, 50)).max(1)
    assert Chance(0.1, 0.2).best_of(50) == pytest.approx(np.median(drawn), abs=0.01)
    assert Chance(0.1, 0.2).best_of(1) == pytest.approx(0.1)


def test_figures_without_it_say_nothing() -> None:
    assert Chance.recorded({"recall1": 0.5}) is None
    assert Chance.recorded({"mismatched_mean": 0.1, "mismatched_deviation": 0.2}) == Chance(0.1, 0.2)
