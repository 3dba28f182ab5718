"""The sigmoid loss against loops."""

import math

import pytest
import torch
from torch.nn import functional as F

from showtell.objectives.sigmoid import pairwise_sigmoid


def loops(images, texts, scale, bias, owner):
    total = 0.0
    for r, text in enumerate(texts):
        for i, image in enumerate(images):
            z = 1 if owner[r] == i else -1
            total -= math.log(1 / (1 + math.exp(-z * (scale * float(text @ image) + bias))))
    return total / len(texts)


@pytest.mark.parametrize("owner", [[0, 1, 2], [2, 2, 0, 1, 2], [1]])
def test_the_sigmoid_loss_against_loops(owner):
    generator = torch.Generator().manual_seed(0)
    images = F.normalize(torch.randn(3, 5, generator=generator, dtype=torch.float64), dim=-1)
    texts = F.normalize(torch.randn(len(owner), 5, generator=generator, dtype=torch.float64), dim=-1)
    found = pairwise_sigmoid(images, texts, 10.0, -3.0, torch.tensor(owner))
    assert found.item() == pytest.approx(loops(images, texts, 10.0, -3.0, owner))
    if owner == [0, 1, 2]:
        assert torch.equal(found, pairwise_sigmoid(images, texts, 10.0, -3.0))
    scale, bias = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (2.0, -1.0))
    inputs = (images.requires_grad_(), texts.requires_grad_(), scale, bias)
    assert torch.autograd.gradcheck(lambda *x: pairwise_sigmoid(*x, torch.tensor(owner)), inputs)
