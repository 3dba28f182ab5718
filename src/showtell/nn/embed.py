"""From words and pixels to tokens."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from showtell.errors import UserError


class TextEmbedding(nn.Module):
    """Word + position (+ segment), then a norm where `eps` is given: `[R L]` to `[R L D]`.

    Source: Devlin et al. 2019, figure 2.
    """

    def __init__(
        self,
        vocab_size: int,
        width: int,
        max_length: int,
        *,
        first_position: int = 0,
        num_segments: int = 0,
        eps: float | None = None,
    ) -> None:
        super().__init__()
        self.max_length, self.first_position = max_length, first_position
        self.tokens = nn.Embedding(vocab_size, width)
        self.positions = nn.Embedding(first_position + max_length, width)
        self.segments = nn.Embedding(num_segments, width) if num_segments else None
        self.norm = nn.Identity() if eps is None else nn.LayerNorm(width, eps)

    def forward(
        self,
        ids: Int[Tensor, "R L"],
        positions: Int[Tensor, "R L"] | None = None,
        segments: Int[Tensor, "R L"] | None = None,
    ) -> Float[Tensor, "R L D"]:
        """`positions [R L]`, counted from 0, default to 0, 1, 2, ...; `segments [R L]` to the first.

        Raises `UserError` when a text is longer than the table of positions.
        """
        if positions is None:
            if ids.shape[1] > self.max_length:
                raise UserError(
                    f"a text has {ids.shape[1]} tokens, and the model reads at most {self.max_length}; "
                    "truncate it"
                )
            positions = torch.arange(ids.shape[1], device=ids.device)
        tokens = self.tokens(ids) + self.positions(positions + self.first_position)
        if self.segments is not None:
            tokens = tokens + (self.segments.weight[0] if segments is None else self.segments(segments))
        return self.norm(tokens)


class PatchEmbedding(nn.Module):
    """Cut an image into squares and project each: a reshape and one matrix product.

    Source: Dosovitskiy et al. 2021, equation 1.
    """

    def __init__(self, patch_size: int, width: int, *, bias: bool = True) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.project = nn.Linear(3 * patch_size**2, width, bias=bias)

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B N D"]:
        """`[B 3 H W]`, normalised, to `[B H/P*W/P D]`, row by row; a last incomplete patch is left out."""
        return self.project(self.cut(pixels))

    def cut(self, pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B N 3*{self.patch_size}**2"]:
        """The patches' own pixels, channel by channel, `[B H/P*W/P 3*P*P]`."""
        size = self.patch_size
        rows, columns = pixels.shape[2] // size, pixels.shape[3] // size
        whole = pixels[:, :, : rows * size, : columns * size]
        patches = whole.unflatten(3, (columns, size)).unflatten(2, (rows, size)).permute(0, 2, 4, 1, 3, 5)
        return patches.flatten(3).flatten(1, 2)


def normalise(
    pixels: UInt8[Tensor, "B 3 H W"], mean: tuple[float, ...], std: tuple[float, ...], dtype: torch.dtype
) -> Float[Tensor, "B 3 H W"]:
    """`uint8 [B 3 H W]` to `(x / 255 - mean) / std`, channel by channel."""
    offset = torch.tensor(mean, dtype=dtype, device=pixels.device)[:, None, None] * 255
    scale = 1 / (torch.tensor(std, dtype=dtype, device=pixels.device)[:, None, None] * 255)
    return (pixels.to(dtype) - offset).mul_(scale)
