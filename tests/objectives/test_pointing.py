"""Supervised attention against loops: shares of cells, and the cross-entropy of pointing."""

import math

import pytest
import torch

from showtell.objectives.pointing import beginnings, cell_shares, from_cells, on_image, pointing

BOXES = torch.tensor(
    [[3.0, 2.0, 17.0, 9.0], [0.0, 0.0, 24.0, 12.0], [math.nan] * 4, [5.0, 5.0, 5.0, 9.0]], dtype=torch.float64
)
SIDES, GRID = (12, 24), (3, 4)


def test_shares_against_loops() -> None:
    shares = cell_shares(BOXES, SIDES, GRID)
    high, wide = SIDES[0] / GRID[0], SIDES[1] / GRID[1]
    for box, found in zip(BOXES[:2].tolist(), shares, strict=False):
        left, top, right, bottom = box
        areas = []
        for row in range(GRID[0]):
            for column in range(GRID[1]):
                across = min(right, (column + 1) * wide) - max(left, column * wide)
                down = min(bottom, (row + 1) * high) - max(top, row * high)
                areas.append(max(across, 0) * max(down, 0))
        assert found.tolist() == pytest.approx([area / sum(areas) for area in areas])
    assert not shares[2:].any()


def test_the_loss_against_loops_over_tokens_with_a_place() -> None:
    scores = torch.randn(4, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shares, total = cell_shares(BOXES, SIDES, GRID), 0.0
    for token in range(2):
        whole = sum(math.exp(s) for s in scores[token].tolist())
        for cell in range(12):
            total -= shares[token, cell].item() * math.log(math.exp(scores[token, cell].item()) / whole)
    assert pointing(scores, shares).item() == pytest.approx(total / 2)


def test_without_a_place_there_is_no_loss() -> None:
    scores = torch.randn(2, 12, requires_grad=True)
    loss = pointing(scores, torch.zeros(2, 12))
    loss.backward()
    assert loss.item() == 0
    assert not scores.grad.any()


def test_a_box_is_found_again_from_any_cell() -> None:
    boxes, scale = BOXES[:2], torch.tensor([24.0, 12.0] * 2, dtype=torch.float64)
    for cell in range(12):
        cells = torch.full((2,), cell)
        found = on_image(from_cells(boxes, cells, SIDES, GRID), cells, GRID)
        torch.testing.assert_close(found, (boxes / scale).float())


def test_two_lines_that_overlap_begin_in_different_rows() -> None:
    lines = torch.tensor([[2.0, 0.0, 30.0, 20.0], [2.0, 16.0, 30.0, 36.0]])
    first, second = cell_shares(beginnings(lines, 8), (48, 32), (3, 4)).unflatten(1, (3, 4))
    assert first.sum(1).tolist() == [1, 0, 0]
    assert second.sum(1).tolist() == [0, 1, 0]
    assert first[0].tolist() == pytest.approx([0.75, 0.25, 0, 0])
