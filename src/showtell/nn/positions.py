"""Where a token stands: waves, tables, and tables for another size of picture."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def sine_1d(length: int, width: int) -> Float[Tensor, "{length} {width}"]:
    """Waves of geometrically growing length, `[length width]`: sine in even channels, cosine in odd.

    `p[t, 2i] = sin(t / 10000^(2i / width))`. Each row is unique and bounded, and the row `k` further on is
    the same linear map of every row. `width` must be even.
    Source: Vaswani et al. 2017, section 3.5.

    >>> sine_1d(2, 4).round(decimals=2).tolist()
    [[0.0, 1.0, 0.0, 1.0], [0.8399999737739563, 0.5400000214576721, 0.009999999776482582, 1.0]]
    """
    if width % 2:
        raise ValueError(f"sine positions need an even width, not {width}")
    frequency = 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angle = torch.arange(length, dtype=torch.float64)[:, None] * frequency
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1).float()


def sine_2d(rows: int, columns: int, width: int) -> Float[Tensor, "{rows*columns} {width}"]:
    """Half of the channels say the column (x), the other half the row (y): `[rows*columns width]`."""
    x, y = sine_1d(columns, width // 2), sine_1d(rows, width // 2)
    return by_axis(x, y)


def by_axis(x: Float[Tensor, "W C"], y: Float[Tensor, "H C"]) -> Float[Tensor, "H*W 2*C"]:
    """Positions on a grid from those of its columns `[W D/2]` and rows `[H D/2]`, row by row: `[H*W D]`."""
    pairs = [x[None].expand(len(y), -1, -1), y[:, None].expand(-1, len(x), -1)]
    return torch.cat(pairs, -1).flatten(0, 1)


def resized(table: Float[Tensor, "N D"], rows: int, columns: int) -> Float[Tensor, "{rows*columns} D"]:
    """A learned table of a square grid, `[S*S D]`, for another grid: `[rows*columns D]`, bicubic.

    Source: Dosovitskiy et al. 2021, section 3.2.
    """
    side = round(len(table) ** 0.5)
    if (rows, columns) == (side, side):
        return table
    grid = table.unflatten(0, (side, side)).permute(2, 0, 1)[None]
    return F.interpolate(grid, (rows, columns), mode="bicubic")[0].permute(1, 2, 0).flatten(0, 1)
