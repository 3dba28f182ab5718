"""The bag of words against loops, and its order."""

import math

import pytest
import torch

from showtell.objectives.bag_of_words import bag_of_words


def test_each_token_is_predicted_from_its_image_alone():
    torch.manual_seed(0)
    logits = torch.randn(3, 5, dtype=torch.float64)
    owner, targets = torch.tensor([0, 0, 2, 1, 2]), torch.tensor([4, 1, 1, 0, 3])
    total = 0.0
    for image, token in zip(owner.tolist(), targets.tolist(), strict=True):
        row = logits[image].tolist()
        total -= row[token] - math.log(sum(math.exp(x) for x in row))
    assert bag_of_words(logits, owner, targets).item() == pytest.approx(total / 5, abs=1e-6)
    order = torch.tensor([3, 0, 4, 2, 1])
    assert bag_of_words(logits, owner[order], targets[order]).item() == pytest.approx(total / 5, abs=1e-6)
