"""Position embeddings: unique, bounded, by axis, resized; and the tokens before the grid."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from showtell.nn.patch_embedding import ImageEmbedding
from showtell.nn.positions import GridPositions, by_axis, resized, sine_1d, sine_2d

KINDS = ("learned", "learned_2d", "sine", "sine_2d")
sizes = st.integers(1, 9)


@settings(deadline=None)
@given(sizes, sizes, sizes)
def test_sine_positions_of_two_axes(rows, columns, quarter):
    """Column and row have half of the channels each, sine positions along their own axis."""
    table = sine_2d(rows, columns, 4 * quarter).unflatten(0, (rows, columns))
    x, y = table.chunk(2, -1)
    assert torch.equal(x, sine_1d(columns, 2 * quarter).expand_as(x))
    assert torch.equal(y, sine_1d(rows, 2 * quarter)[:, None].expand_as(y))
    assert table.abs().max() <= 1
    assert len(table.flatten(0, 1).unique(dim=0)) == rows * columns


@settings(deadline=None)
@given(st.integers(2, 40), st.integers(1, 12), st.integers(1, 5))
def test_a_step_of_sine_positions_is_one_linear_map(length, half, step):
    """Row t + k is row t rotated by an angle that depends on k alone."""
    table = sine_1d(length + step, 2 * half).double().unflatten(1, (half, 2))
    angle = step * 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    turn = torch.stack([angle.cos(), angle.sin(), -angle.sin(), angle.cos()], -1).view(half, 2, 2)
    moved = torch.einsum("thc,hdc->thd", table[:length], turn)
    torch.testing.assert_close(moved, table[step:], atol=1e-5, rtol=0)


@pytest.mark.parametrize("prefix", [0, 1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_each_token_of_any_grid_has_a_position_of_its_own(kind, prefix):
    torch.manual_seed(0)
    positions = GridPositions(kind, 4, 16, prefix=prefix)
    for rows, columns in [(4, 4), (3, 5), (8, 8), (1, 1)]:
        table = positions(rows, columns)
        assert table.shape == (prefix + rows * columns, 16)
        grid = table[prefix:]
        assert len(grid.unique(dim=0)) == rows * columns
        assert grid.abs().max() <= 1
        if kind.endswith("2d"):
            assert not table[:prefix].any()
    learned = {name: p.shape for name, p in positions.named_parameters()}
    expected = {"learned": {"table": (prefix + 16, 16)}, "learned_2d": {"x": (4, 8), "y": (4, 8)}}
    assert learned == expected.get(kind, {})
    assert not positions.state_dict().keys() - learned.keys()


def test_positions_learned_by_axis_are_those_of_column_and_row():
    torch.manual_seed(0)
    positions = GridPositions("learned_2d", 3, 8)
    table = positions(3, 3).unflatten(0, (3, 3))
    for row in range(3):
        for column in range(3):
            assert torch.equal(table[row, column], torch.cat([positions.x[column], positions.y[row]]))
    # Resized, a column is still the same in every row, and a row in every column.
    x, y = positions(5, 7).unflatten(0, (5, 7)).chunk(2, -1)
    torch.testing.assert_close(x, x[:1].expand_as(x), atol=1e-6, rtol=0)
    torch.testing.assert_close(y, y[:, :1].expand_as(y), atol=1e-6, rtol=0)


def test_sine_positions_of_another_size_extend_those_of_the_first():
    positions = GridPositions("sine_2d", 4, 16, prefix=1)
    small, large = positions(4, 4)[1:].unflatten(0, (4, 4)), positions(6, 5)[1:].unflatten(0, (6, 5))
    assert torch.equal(small, large[:4, :4])


def test_a_grid_of_the_trained_size_is_unchanged():
    table = torch.randn(9, 5)
    assert resized(table, 3, 3) is table
    smooth = by_axis(torch.zeros(3, 2), torch.linspace(0, 1, 3)[:, None].expand(3, 2))
    rising = resized(smooth, 6, 1)[:, -1]
    assert (rising.diff() > 0).all()
    for antialias in (False, True):
        constant = resized(torch.ones(16, 2), 2, 7, antialias=antialias)
        torch.testing.assert_close(constant, torch.ones(14, 2))


@pytest.mark.parametrize(("kind", "width"), [("learned_2d", 9), ("sine", 9), ("sine_2d", 10)])
def test_a_width_that_cannot_be_divided_is_named(kind, width):
    with pytest.raises(ValueError, match=f"{kind} positions need a width divisible by ., not {width}"):
        GridPositions(kind, 2, width)


def test_registers_have_no_position_and_precede_the_patches():
    torch.manual_seed(0)
    embed = ImageEmbedding(8, 4, 6, num_registers=2)
    with torch.no_grad():
        embed.registers.normal_()
        embed.class_token.normal_()
    pixels = torch.randn(3, 3, 8, 8)
    tokens, places = embed(pixels), embed.positions(2, 2)
    assert embed.num_before == 3
    assert torch.equal(tokens[:, 0], (embed.class_token + places[0]).expand(3, -1))
    assert torch.equal(tokens[:, 1:3], embed.registers.expand(3, -1, -1))
    assert torch.equal(tokens[:, 3:], embed.patches(pixels) + places[1:])


def test_sine_positions_are_unique_bounded_and_linearly_related():
    table = sine_1d(500, 32).double()
    assert table.abs().max() <= 1
    assert torch.cdist(table, table).fill_diagonal_(1).min() > 0.1
    step = torch.linalg.lstsq(table[:-7], table[7:]).solution
    torch.testing.assert_close(table[:-7] @ step, table[7:], atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="even width, not 5"):
        sine_1d(3, 5)


def test_half_of_the_channels_encode_the_column():
    grid = sine_2d(3, 5, 768).view(3, 5, 768)
    assert torch.equal(grid[0, :, :384], grid[2, :, :384])
    assert torch.equal(grid[:, 0, 384:], grid[:, 4, 384:])
    torch.testing.assert_close(grid[1, 4], torch.cat([sine_1d(5, 384)[4], sine_1d(3, 384)[1]]))
    assert by_axis(torch.zeros(5, 2), torch.ones(3, 2)).shape == (15, 4)


def test_positions_of_the_trained_size_are_not_resized():
    table = torch.randn(16, 6)
    assert resized(table, 4, 4) is table
    assert resized(table, 3, 7).shape == (21, 6)
    torch.testing.assert_close(resized(torch.ones(16, 6), 5, 2), torch.ones(10, 6))
