"""Next-token cross-entropy against loops."""

import pytest
import torch

from showtell.data.batch import pad
from showtell.objectives.causal_tokens import causal_tokens, next_tokens


def test_cross_entropy_against_loops():
    torch.manual_seed(0)
    ids, keep = pad([[1, 3, 4, 2], [1, 2]])
    targets = next_tokens(ids, keep)
    assert targets.tolist() == [3, 4, 2, 2]
    logits = torch.randn(4, 6, dtype=torch.float64)
    total = 0.0
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        normaliser = sum(torch.tensor(x).double().exp().item() for x in row)
        total -= torch.tensor(torch.tensor(row[target]).double().exp().item() / normaliser).log().item()
    assert causal_tokens(logits, targets).item() == pytest.approx(total / 4, abs=1e-6)
    assert causal_tokens(torch.zeros(4, 6), targets).item() == pytest.approx(torch.tensor(6.0).log().item())
