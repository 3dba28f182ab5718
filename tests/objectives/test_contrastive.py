"""InfoNCE against loops."""

import math

import pytest
import torch

from showtell.objectives.contrastive import info_nce, symmetric_info_nce


def softmax_loss(scores, target):
    return -scores[target] + math.log(sum(math.exp(s) for s in scores))


def test_info_nce_against_loops():
    torch.manual_seed(0)
    anchors, candidates = torch.randn(3, 4).double(), torch.randn(5, 4).double()
    expected = 0.0
    for i in range(3):
        scores = [7.0 * sum((anchors[i, d] * c[d]).item() for d in range(4)) for c in candidates]
        expected += softmax_loss(scores, i) / 3
    assert info_nce(anchors, candidates, 7.0).item() == pytest.approx(expected, abs=1e-9)
    pairs = candidates[:3]
    both = (info_nce(anchors, pairs, 7.0) + info_nce(pairs, anchors, 7.0)) / 2
    assert symmetric_info_nce(anchors, pairs, 7.0).item() == pytest.approx(both.item(), abs=1e-12)
    same = torch.ones(6, 2)
    assert info_nce(same, same, 3.0).item() == pytest.approx(math.log(6))


def test_gradients_are_right():
    torch.manual_seed(0)
    a, b = (torch.randn(4, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    scale = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(symmetric_info_nce, (a, b, scale))
    assert torch.autograd.gradcheck(info_nce, (a, b, scale))
