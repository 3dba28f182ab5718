import math

import torch

from showtell.objectives.token_cells import token_cells


def test_against_plain_loops() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 7, dtype=torch.float64)
    owner, ids = torch.tensor([1, 0, 1]), torch.tensor([3, 6, 0])
    shares = torch.tensor([[0.0, 0.25, 0.75, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]], dtype=torch.float64)
    terms = []
    for t in range(2):  # the third has no place
        loss = 0.0
        for n in range(5):
            row = logits[owner[t], n]
            log_prob = float(row[ids[t]]) - math.log(sum(math.exp(float(v)) for v in row))
            loss -= float(shares[t, n]) * log_prob
        terms.append(loss)
    assert abs(float(token_cells(logits, owner, ids, shares)) - sum(terms) / 2) < 1e-12


def test_without_places_it_is_nothing() -> None:
    assert token_cells(torch.randn(1, 2, 3), torch.tensor([0]), torch.tensor([1]), torch.zeros(1, 2)) == 0
