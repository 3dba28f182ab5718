"""The losses of two views against loops transcribed from their papers, and their invariants."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from showtell.objectives.views import byol_loss, nt_xent, simsiam_loss


def draw(rows: int, width: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randn(2, rows, width, generator=generator, dtype=torch.float64)
    return first, second


def cosine(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def nt_xent_by_loops(first: torch.Tensor, second: torch.Tensor, temperature: float) -> float:
    """Algorithm 1 of the paper, where views 2k - 1 and 2k are a pair."""
    z = [view for pair in zip(first.tolist(), second.tolist(), strict=True) for view in pair]
    s = [[cosine(a, b) for b in z] for a in z]

    def loss(i: int, j: int) -> float:
        below = sum(math.exp(s[i][k] / temperature) for k in range(len(z)) if k != i)
        return -math.log(math.exp(s[i][j] / temperature) / below)

    pairs = range(len(first))
    return sum(loss(2 * k, 2 * k + 1) + loss(2 * k + 1, 2 * k) for k in pairs) / (2 * len(first))


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("rows", [1, 2, 7])
def test_nt_xent_against_loops(rows: int, temperature: float) -> None:
    first, second = draw(rows, 5)
    expected = nt_xent_by_loops(first, second, temperature)
    assert nt_xent(first, second, temperature).item() == pytest.approx(expected, abs=1e-6)


def test_byol_and_simsiam_against_loops() -> None:
    first, second = draw(6, 4)
    byol = simsiam = 0.0
    for q, z in zip(first.tolist(), second.tolist(), strict=True):
        q_length, z_length = (math.sqrt(sum(x * x for x in v)) for v in (q, z))
        byol += sum((a / q_length - b / z_length) ** 2 for a, b in zip(q, z, strict=True)) / 6
        simsiam += -cosine(q, z) / 6
    assert byol_loss(first, second).item() == pytest.approx(byol, abs=1e-6)
    assert simsiam_loss(first, second).item() == pytest.approx(simsiam, abs=1e-6)


def test_gradients_are_right() -> None:
    first, second = (x.requires_grad_() for x in draw(4, 3))
    assert torch.autograd.gradcheck(nt_xent, (first, second))
    for loss in (byol_loss, simsiam_loss):
        assert torch.autograd.gradcheck(lambda q, loss=loss: loss(q, second.detach()), (first,))


@pytest.mark.parametrize("loss", [byol_loss, simsiam_loss])
def test_no_gradient_reaches_the_target(loss) -> None:
    prediction, target = (x.requires_grad_() for x in draw(4, 3))
    loss(prediction, target).backward()
    assert prediction.grad.abs().sum() > 0
    assert target.grad is None


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), rows=st.integers(2, 9), scale=st.floats(0.01, 100))
def test_order_and_length_do_not_matter(seed: int, rows: int, scale: float) -> None:
    first, second = draw(rows, 6, seed)
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    for loss in (nt_xent, byol_loss, simsiam_loss):
        value = loss(first, second)
        torch.testing.assert_close(loss(first[order], second[order]), value)
        torch.testing.assert_close(loss(scale * first, second / scale), value)
        torch.testing.assert_close(loss(second, first), value)


def test_known_values() -> None:
    same = torch.ones(5, 3, dtype=torch.float64)
    assert nt_xent(same, same).item() == pytest.approx(math.log(9))  # uniform over the other 2B - 1
    corners = torch.eye(4, dtype=torch.float64)
    assert nt_xent(corners, corners, 0.01).item() == pytest.approx(0, abs=1e-6)
    assert nt_xent(corners, corners.roll(1, 0), 0.1) > 9
    assert byol_loss(corners, 3 * corners).item() == pytest.approx(0)
    assert byol_loss(corners, -corners).item() == pytest.approx(4)
    assert simsiam_loss(corners, corners).item() == pytest.approx(-1)
    assert simsiam_loss(corners, corners.roll(1, 0)).item() == pytest.approx(0)
