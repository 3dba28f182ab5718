"""Linear layers in 8 bits: near the exact ones, row by row, and out of the way of gradients."""

import copy

import pytest
import torch
from torch import nn

from showtell.device import has_int8
from showtell.errors import UsageError
from showtell.nn.cpu import int8
from showtell.nn.cpu.int8 import Int8Weight, quantise
from showtell.nn.linear import Linear, linear

needs_int8 = pytest.mark.skipif(not has_int8(), reason="this processor has no VNNI")
IN, OUT = 96, 80


@needs_int8
@pytest.mark.parametrize("shape", [(1, IN), (3, IN), (2, 65, IN), (2, 3, 4, IN)])
@pytest.mark.parametrize("bias", [True, False])
def test_products_are_near_the_exact_ones(shape, bias):
    torch.manual_seed(0)
    layer, x = Linear(IN, OUT, bias), torch.randn(shape)
    with torch.inference_mode():
        exact = layer(x)
        quantise(layer)
        found = layer(x)
    assert found.shape == exact.shape
    assert 0 < (found - exact).abs().max() < 0.02 * exact.abs().max()


@needs_int8
def test_it_is_the_product_of_rounded_rows_and_columns():
    torch.manual_seed(0)
    weight, x, bias = torch.randn(OUT, IN), torch.randn(5, IN), torch.randn(OUT)

    def rounded(matrix):
        scale = matrix.abs().amax(1, keepdim=True) / 127
        return (matrix / scale).round() * scale

    with torch.no_grad():
        found = Int8Weight(weight).multiply(x, bias)
    torch.testing.assert_close(found, rounded(x) @ rounded(weight).T + bias, rtol=1e-4, atol=1e-4)


@needs_int8
def test_a_row_does_not_depend_on_the_others():
    torch.manual_seed(0)
    weight = Int8Weight(torch.randn(OUT, IN))
    rows = torch.randn(70, IN)
    with torch.no_grad():
        alone = weight.multiply(rows[:1], None)
        beside_a_large_one = weight.multiply(torch.cat([rows, 1000 * rows]), None)[:1]
    torch.testing.assert_close(alone, beside_a_large_one, rtol=1e-6, atol=1e-5)


@needs_int8
def test_rows_without_rows_of_zeros_and_without_numbers():
    layer = Linear(IN, OUT)
    quantise(layer)
    with torch.no_grad():
        assert layer(torch.zeros(0, IN)).shape == (0, OUT)
        torch.testing.assert_close(layer(torch.zeros(2, IN)), layer.bias.expand(2, -1))
        assert layer(torch.full((1, IN), torch.nan)).isnan().all()


@needs_int8
def test_gradients_are_exact_and_weights_that_change_are_rounded_again():
    torch.manual_seed(0)
    layer = Linear(IN, OUT)
    plain, x = copy.deepcopy(layer), torch.randn(4, IN)
    quantise(layer)
    assert torch.equal(layer(x), plain(x))
    layer(x).sum().backward()
    plain(x).sum().backward()
    assert torch.equal(layer.weight.grad, plain.weight.grad)
    with torch.no_grad():
        before = layer(x)
        layer.weight.mul_(2)
        torch.testing.assert_close(layer(x) - layer.bias, 2 * (before - layer.bias))


@needs_int8
def test_an_embedding_that_computes_logits_is_rounded_and_its_rows_are_not():
    torch.manual_seed(0)
    module = nn.ModuleList([nn.Embedding(200, IN)])
    x, ids = torch.randn(3, IN), torch.arange(200)
    with torch.no_grad():
        exact, rows = linear(x, module[0].weight), module[0](ids)
        quantise(module)
        assert not torch.equal(linear(x, module[0].weight), exact)
        assert torch.equal(module[0](ids), rows)


def test_a_processor_without_int8_is_refused(monkeypatch):
    monkeypatch.setattr(int8, "has_int8", lambda: False)
    with pytest.raises(UsageError, match="no int8 products"):
        quantise(Linear(IN, OUT))
