"""Position embeddings: sine, learned, and learned ones resized to another grid."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Positions = Literal["learned", "learned_2d", "sine", "sine_2d"]


def sine_1d(length: int, width: int) -> Float[Tensor, "{length} {width}"]:
    """Sine positions `[length width]`: `p[t, 2i] = sin(t / 10000^(2i / width))`, `p[t, 2i+1]` its cosine.

    Rows are unique and bounded, and row `t + k` is the same linear map of row `t` for every `t`. `width` must
    be even.
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
    """Sine positions on a grid, half of the channels for the column (x), half for the row (y)."""
    x, y = sine_1d(columns, width // 2), sine_1d(rows, width // 2)
    return by_axis(x, y)


def by_axis(x: Float[Tensor, "W C"], y: Float[Tensor, "H C"]) -> Float[Tensor, "H*W 2*C"]:
    """Grid positions `[H*W D]`, row by row, from those of the columns `[W D/2]` and rows `[H D/2]`."""
    pairs = [x[None].expand(len(y), -1, -1), y[:, None].expand(-1, len(x), -1)]
    return torch.cat(pairs, -1).flatten(0, 1)


def resized(
    table: Float[Tensor, "N D"], rows: int, columns: int, *, antialias: bool = False
) -> Float[Tensor, "{rows*columns} D"]:
    """Learned positions of a square grid, `[S*S D]`, resized to another grid by bicubic interpolation.

    Source: Dosovitskiy et al. 2021, section 3.2.
    """
    side = round(len(table) ** 0.5)
    if (rows, columns) == (side, side):
        return table
    grid = table.unflatten(0, (side, side)).permute(2, 0, 1)[None]
    grid = F.interpolate(grid, (rows, columns), mode="bicubic", antialias=antialias)
    return grid[0].permute(1, 2, 0).flatten(0, 1)


def stretched(table: Float[Tensor, "N D"], rows: int, columns: int) -> Float[Tensor, "{rows*columns} D"]:
    """Learned positions of a square grid, on one of `rows` by `columns`: bilinear, corners stay corners.

    Source: Kim et al. 2021, "ViLT", section 3.2, which interpolates them to each image's size.

    >>> stretched(torch.tensor([[0.0], [1.0], [2.0], [3.0]]), 1, 3).flatten().tolist()
    [0.0, 0.5, 1.0]
    """
    side = round(len(table) ** 0.5)
    grid = table.unflatten(0, (side, side)).permute(2, 0, 1)[None]
    grid = F.interpolate(grid, (rows, columns), mode="bilinear", align_corners=True)
    return grid[0].permute(1, 2, 0).flatten(0, 1)


class GridPositions(nn.Module):
    """Position embeddings of an image's patches and of the `prefix` tokens before them.

    `learned`: one vector per token, numbered row by row. `learned_2d`: half of the channels for the column
    (x), half for the row (y). `sine`, `sine_2d`: sine positions in place of learned ones. The 2d kinds are
    zero for the tokens before the grid. For another grid than the trained `side` by `side`, learned positions
    are resized and sine positions computed.
    Source: Dosovitskiy et al. 2021, appendix D.4; Vaswani et al. 2017, section 3.5.

    Raises `ValueError` when the width cannot be divided as the kind needs.
    """

    def __init__(
        self, kind: Positions, side: int, width: int, *, prefix: int = 0, antialias: bool = False
    ) -> None:
        super().__init__()
        parts = {"learned": 1, "learned_2d": 2, "sine": 2, "sine_2d": 4}[kind]
        if width % parts:
            raise ValueError(f"{kind} positions need a width divisible by {parts}, not {width}")
        self.kind, self.prefix, self.antialias = kind, prefix, antialias
        if kind == "learned":
            table = torch.empty(prefix + side**2, width)
            self.table = nn.Parameter(nn.init.normal_(table, std=0.02))
        elif kind == "learned_2d":
            self.x = nn.Parameter(nn.init.normal_(torch.empty(side, width // 2), std=0.02))
            self.y = nn.Parameter(nn.init.normal_(torch.empty(side, width // 2), std=0.02))
        else:
            self.sines: Tensor
            self.register_buffer("sines", self._sines(side, side, width), persistent=False)
        self.side = side

    def forward(self, rows: int, columns: int) -> Float[Tensor, "N D"]:
        """`[prefix+rows*columns D]`, row by row."""
        if self.kind == "learned":
            before, grid = self.table[: self.prefix], self.table[self.prefix :]
            return torch.cat([before, resized(grid, rows, columns, antialias=self.antialias)])
        if self.kind == "learned_2d":
            grid = resized(by_axis(self.x, self.y), rows, columns, antialias=self.antialias)
            return F.pad(grid, (0, 0, self.prefix, 0))
        if (rows, columns) == (self.side, self.side):
            return self.sines
        return self._sines(rows, columns, self.sines.shape[1]).to(self.sines)

    def _sines(self, rows: int, columns: int, width: int) -> Tensor:
        if self.kind == "sine":
            return sine_1d(self.prefix + rows * columns, width)
        return F.pad(sine_2d(rows, columns, width), (0, 0, self.prefix, 0))
