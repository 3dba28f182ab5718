"""Doubly stochastic attention against loops."""

import pytest
import torch

from showtell.objectives.coverage import doubly_stochastic


def test_coverage_against_loops():
    coverage = torch.tensor([[0.5, 1.5], [1.0, 2.0]], dtype=torch.float64)
    lengths = torch.tensor([2, 3])
    expected = sum(
        sum((lengths[r].item() / 2 - coverage[r, n].item()) ** 2 for n in range(2)) for r in range(2)
    )
    assert doubly_stochastic(coverage, lengths).item() == pytest.approx(expected / 2)
    assert doubly_stochastic(torch.full((1, 4), 0.75), torch.tensor([3])) == 0
