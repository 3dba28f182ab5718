"""The hinge loss against loops."""

import pytest
import torch

from showtell.objectives.hinge import hardest_hinge


def test_hinge_against_loops():
    torch.manual_seed(0)
    scores = torch.randn(4, 4, dtype=torch.float64)
    s = scores.tolist()
    expected = 0.0
    for i in range(4):
        others = [j for j in range(4) if j != i]
        expected += max(max(0.0, 0.2 - s[i][i] + s[i][j]) for j in others)
        expected += max(max(0.0, 0.2 - s[i][i] + s[j][i]) for j in others)
    assert hardest_hinge(scores).item() == pytest.approx(expected / 4, abs=1e-12)
    assert hardest_hinge(torch.eye(3)).item() == 0


def test_gradients_are_right():
    torch.manual_seed(0)
    a, b = (torch.randn(4, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda x, y: hardest_hinge(x @ y.T), (a, b))
