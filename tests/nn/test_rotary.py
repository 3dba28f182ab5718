"""Rotary positions against complex numbers, one channel at a time."""

import cmath

import pytest
import torch

from showtell.nn.rotary import rotate, rotation


def test_each_pair_of_channels_is_turned_by_its_angle():
    torch.manual_seed(0)
    x, positions = torch.randn(2, 3, 4, 6).double(), torch.tensor([[0, 1, 2, 3], [0, 0, 7, 100]])
    found = rotate(x, rotation(positions, 6, 50.0))
    for row, head, n, i in torch.cartesian_prod(*map(torch.arange, (2, 3, 4, 3))).tolist():
        real, imaginary = x[row, head, n, i].item(), x[row, head, n, i + 3].item()
        turn = cmath.exp(1j * int(positions[row, n]) * 50.0 ** (-2 * i / 6))
        turned = complex(real, imaginary) * turn
        pair = complex(found[row, head, n, i].item(), found[row, head, n, i + 3].item())
        assert pair == pytest.approx(turned, abs=1e-4)


def test_products_depend_on_the_distance_alone():
    torch.manual_seed(0)
    query, key = torch.randn(2, 1, 1, 1, 8).double()

    def product(at: int, of: int) -> torch.Tensor:
        turned = rotate(query, rotation(torch.tensor([[at]]), 8, 100.0))
        return (turned * rotate(key, rotation(torch.tensor([[of]]), 8, 100.0))).sum()

    torch.testing.assert_close(product(3, 1), product(12, 10), atol=1e-5, rtol=1e-5)
    assert (product(3, 1) - product(3, 2)).abs() > 1e-3
