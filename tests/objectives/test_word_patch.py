"""Word-patch alignment against plain loops in float64, and against linear programming."""

import math

import pytest
import torch
from scipy.optimize import linprog

from showtell.objectives.word_patch import transport, word_patch

WORDS, PATCHES = [3, 2], [4, 5]


def keeps():
    return (
        torch.arange(3) < torch.tensor(WORDS)[:, None],
        torch.arange(5) < torch.tensor(PATCHES)[:, None],
    )


def plan_by_loops(cost, beta=0.5, iterations=50):
    """Algorithm 1 of Xie et al., line by line, for one pair without padding."""
    n, m = len(cost), len(cost[0])
    v = [1 / m] * m
    plan = [[1.0] * m for _ in range(n)]
    for _ in range(iterations):
        q = [[math.exp(-cost[i][j] / beta) * plan[i][j] for j in range(m)] for i in range(n)]
        u = [1 / n / sum(q[i][j] * v[j] for j in range(m)) for i in range(n)]
        v = [1 / m / sum(q[i][j] * u[i] for i in range(n)) for j in range(m)]
        plan = [[u[i] * q[i][j] * v[j] for j in range(m)] for i in range(n)]
    return plan


def cosine_cost(a, b):
    def dot(x, y):
        return sum(p * q for p, q in zip(x, y, strict=True))

    return [[1 - dot(x, y) / math.sqrt(dot(x, x) * dot(y, y)) for y in b] for x in a]


def test_the_plan_equals_loops_with_padding_unseen():
    torch.manual_seed(0)
    cost = torch.rand(2, 3, 5, dtype=torch.float64) * 2
    plan = transport(cost, *keeps())
    for row, (n, m) in enumerate(zip(WORDS, PATCHES, strict=True)):
        expected = torch.tensor(plan_by_loops(cost[row, :n, :m].tolist()))
        torch.testing.assert_close(plan[row, :n, :m], expected.double(), atol=1e-9, rtol=1e-6)
        assert plan[row].sum().item() == pytest.approx(1, abs=1e-6)
        assert plan[row, n:].abs().sum() == plan[row, :, m:].abs().sum() == 0


def test_the_distance_is_that_of_linear_programming():
    torch.manual_seed(1)
    cost = torch.rand(1, 3, 4, dtype=torch.float64) * 2
    whole = torch.ones(1, 3, dtype=torch.bool), torch.ones(1, 4, dtype=torch.bool)
    plan = transport(cost, *whole, iterations=2000)
    rows = torch.eye(3).repeat_interleave(4, 1)
    columns = torch.eye(4).repeat(1, 3)
    best = linprog(
        cost.flatten().tolist(),
        A_eq=torch.cat([rows, columns]).tolist(),
        b_eq=[1 / 3] * 3 + [1 / 4] * 4,
    )
    assert (plan * cost).sum().item() == pytest.approx(best.fun, abs=1e-3)


def test_the_loss_is_the_distance_with_the_sign_of_the_match():
    torch.manual_seed(2)
    words = torch.randn(2, 3, 6, dtype=torch.float64, requires_grad=True)
    patches = torch.randn(2, 5, 6, dtype=torch.float64, requires_grad=True)
    matched = torch.tensor([True, False])
    expected = 0.0
    for row, (n, m) in enumerate(zip(WORDS, PATCHES, strict=True)):
        cost = cosine_cost(words[row, :n].tolist(), patches[row, :m].tolist())
        plan = plan_by_loops(cost)
        distance = sum(plan[i][j] * cost[i][j] for i in range(n) for j in range(m))
        expected += distance if matched[row] else -distance
    loss = word_patch(words, patches, *keeps(), matched)
    assert loss.item() == pytest.approx(expected / 2, abs=1e-5)
    loss.backward()
    keep_words, keep_patches = keeps()
    assert words.grad[keep_words].abs().sum(1).gt(0).all()
    assert words.grad[~keep_words].abs().sum() == patches.grad[~keep_patches].abs().sum() == 0


def test_far_words_stay_finite():
    cost = torch.full((1, 2, 2), 2.0)
    cost[0, 0, 0] = 0
    keep = torch.ones(1, 2, dtype=torch.bool)
    assert transport(cost, keep, keep, iterations=500).isfinite().all()
