"""A grid of tokens on a coarser grid keeps its mean, and averages areas."""

import torch

from showtell.nn.grid import coarser


def test_it_equals_average_pooling_where_squares_fit() -> None:
    grid = torch.randn(2, 36, 5)
    pooled = torch.nn.functional.avg_pool2d(grid.transpose(1, 2).unflatten(2, (6, 6)), 2)
    torch.testing.assert_close(coarser(grid, 9), pooled.flatten(2).transpose(1, 2))
    assert coarser(grid, 36) is grid


def test_the_mean_stays_where_squares_are_cut() -> None:
    grid = torch.randn(3, 256, 4)
    seven = coarser(grid, 49)
    assert seven.shape == (3, 49, 4)
    torch.testing.assert_close(seven.mean(1), grid.mean(1), atol=1e-6, rtol=1e-5)


def test_a_corner_token_is_weighted_by_the_area_that_it_covers() -> None:
    grid = torch.zeros(1, 9, 1)
    grid[0, 4] = 1  # the middle of three by three, whose quarters fall into each of two by two
    torch.testing.assert_close(coarser(grid, 4)[0, :, 0], torch.full((4,), 1 / 9))
