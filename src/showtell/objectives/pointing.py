"""Supervised attention: a decoder points at the place of the token that it predicts next."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


def cell_shares(
    boxes: Float[Tensor, "T 4"], sides: Sequence[int], grid: tuple[int, int]
) -> Float[Tensor, "T N"]:
    """The share of each box that lies in each cell of a grid over the image, row by row.

    `boxes` are left, top, right, bottom in pixels, of an image of height and width `sides` under a grid of
    rows and columns. Shares add up to 1; to 0 for a box that is NaN or has no area.

    >>> cell_shares(torch.tensor([[1.0, 0.0, 4.0, 1.0]]), (2, 4), (2, 2)).round(decimals=2).tolist()
    [[0.33000001311302185, 0.6700000166893005, 0.0, 0.0]]
    """
    left, top, right, bottom = boxes.nan_to_num().unbind(1)
    across = _overlap(left, right, sides[1], grid[1])
    down = _overlap(top, bottom, sides[0], grid[0])
    area = (down[:, :, None] * across[:, None]).flatten(1)
    return area / area.sum(1, keepdim=True).clamp(min=torch.finfo(area.dtype).tiny)


def _overlap(first: Tensor, last: Tensor, side: int, cells: int) -> Tensor:
    """How much of the interval of each item lies in each of `cells` equal parts of `side`, `[T cells]`."""
    edges = torch.linspace(0, side, cells + 1, dtype=first.dtype, device=first.device)
    inner = torch.minimum(last[:, None], edges[1:]) - torch.maximum(first[:, None], edges[:-1])
    return inner.clamp(min=0)


def middles(boxes: Float[Tensor, "... 4"]) -> Float[Tensor, "... 4"]:
    """A strip of one pixel halfway down each box: so a line of text lies in one row of cells.

    Boxes of lines are higher than lines are apart, so that those of two lines share cells.

    >>> middles(torch.tensor([2.0, 0.0, 9.0, 20.0])).tolist()
    [2.0, 9.5, 9.0, 10.5]
    """
    left, top, right, bottom = boxes.unbind(-1)
    middle = (top + bottom) / 2
    return torch.stack([left, middle - 0.5, right, middle + 0.5], -1)


def beginnings(boxes: Float[Tensor, "... 4"], width: int) -> Float[Tensor, "... 4"]:
    """The first `width` pixels of each strip halfway down a box: where to begin to read.

    >>> beginnings(torch.tensor([2.0, 0.0, 90.0, 20.0]), 8).tolist()
    [2.0, 9.5, 10.0, 10.5]
    """
    left, top, right, bottom = middles(boxes).unbind(-1)
    return torch.stack([left, top, torch.minimum(right, left + width), bottom], -1)


def from_cells(
    boxes: Float[Tensor, "T 4"], cells: Int[Tensor, " T"], sides: Sequence[int], grid: tuple[int, int]
) -> Float[Tensor, "T 4"]:
    """How far the edges of boxes are from the left top corner of a cell, in widths and heights of a cell.

    >>> from_cells(torch.tensor([[20.0, 4.0, 44.0, 30.0]]), torch.tensor([1]), (32, 64), (2, 4)).tolist()
    [[0.25, 0.25, 1.75, 1.875]]
    """
    size = boxes.new_tensor([sides[1] / grid[1], sides[0] / grid[0]] * 2)
    return boxes / size - _corners(cells, grid)


def on_image(
    offsets: Float[Tensor, "*T 4"], cells: Int[Tensor, "*T"], grid: tuple[int, int]
) -> Float[Tensor, "*T 4"]:
    """Boxes as fractions of the image, of how far they are `from_cells`; cut at its edges.

    >>> on_image(torch.tensor([0.25, 0.25, 1.75, 1.875]), torch.tensor(1), (2, 4)).tolist()
    [0.3125, 0.125, 0.6875, 0.9375]
    """
    edges = (offsets.float() + _corners(cells, grid)) / offsets.new_tensor([grid[1], grid[0]] * 2).float()
    first, last = edges.clamp(0, 1).chunk(2, -1)
    return torch.cat([first, torch.maximum(first, last)], -1)


def _corners(cells: Tensor, grid: tuple[int, int]) -> Tensor:
    """Column, row, column, row of each cell."""
    return torch.stack([cells % grid[1], cells // grid[1]] * 2, -1)


def last_places(shares: Float[Tensor, "R L N"]) -> Float[Tensor, "R L N"]:
    """Where a reader stands: a token without a place, as the end of a text, stands where the one before does.

    >>> last_places(torch.tensor([[[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]])).tolist()
    [[[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]]]
    """
    places = torch.arange(shares.shape[1], device=shares.device)
    last = (places * (shares.sum(2) > 0)).cummax(1).values
    return shares.gather(1, last[..., None].expand_as(shares))


def pointing(scores: Float[Tensor, "T N"], shares: Float[Tensor, "T N"]) -> Float[Tensor, ""]:
    """Cross-entropy of attention, `-sum_n share_n log softmax(scores)_n`, a mean over the tokens with a
    place.

    `scores [T N]` are those before the softmax, `shares [T N]` from `cell_shares`; 0 if no token has a place.
    Source: Liu et al. 2016, "Neural machine translation with supervised attention", equation 9 (cross
    entropy); for images Liu et al. 2017, "Attention correctness in neural image captioning", section 3.2.
    """
    placed = shares.sum(1) > 0
    losses = -(shares * F.log_softmax(scores, -1)).sum(1)
    return losses[placed].sum() / placed.sum().clamp(min=1)
