"""Where the tokens and characters of a batch lie on the grid over its images, and what VLP says of them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.objectives.pointing import beginnings, cell_shares, from_cells, last_places, middles
from showtell.objectives.token_cells import token_cells

HALVES = 2
"""Characters that a cell of the grid predicts, side by side: it is about as wide as a letter."""


@dataclass(frozen=True)
class Inspected:
    """What a reader of images says of the token after each of `L`; None where it did not learn that."""

    logits: Tensor
    """`[R L V]`."""
    masked: Tensor | None
    """`[R L]`, the probability that the image shows a mask there."""
    boxes: Tensor | None
    """`[R L 4]`, left, top, right and bottom of the token as fractions of the image."""


def tokens_begin(batch: Batch, grid: tuple[int, int]) -> Tensor:
    """The shares of the grid's cells in which the tokens of a batch begin, `[R L N]`."""
    boxes, sides = batch.targets.boxes, batch.images.pixels.shape[2:]
    shares = cell_shares(beginnings(boxes.flatten(0, 1), -(-sides[1] // grid[1])), sides, grid)
    return last_places(shares.unflatten(0, boxes.shape[:2]))


def extents(batch: Batch, offsets: Tensor, cells: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The smooth L1 loss of how far tokens extend from the cells in which they begin, and their number.

    `offsets [T 4]` and `cells [T]` are those of the real tokens after the first, row by row.
    """
    boxes, sides = batch.targets.boxes[:, 1:][batch.texts.keep[:, 1:]], batch.images.pixels.shape[2:]
    drawn = ~boxes.isnan().any(1)
    meant = from_cells(boxes[drawn], cells[drawn], sides, grid)
    loss = F.smooth_l1_loss(offsets[drawn], meant, reduction="sum")
    return loss / (4 * drawn.sum()).clamp(min=1), drawn.sum()


def letters(batch: Batch, logits: Tensor, owner: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The loss of the characters in place, and their number.

    `logits [B N HALVES*V]` are those of each cell; row `r` of the texts stands on the image `owner[r]`.
    """
    boxes, sides = middles(batch.targets["letter_boxes"]), batch.images.pixels.shape[2:]
    drawn = ~boxes.isnan().any(2)
    shares = cell_shares(boxes[drawn], sides, (grid[0], HALVES * grid[1]))
    ids, where = batch.targets["letters"][drawn], owner[:, None].expand_as(drawn)[drawn]
    cells = logits.unflatten(2, (HALVES, -1)).flatten(1, 2)
    return token_cells(cells, where, ids, shares), (shares.sum(1) > 0).sum()
