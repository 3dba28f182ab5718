"""Embedding of images: patches, positions, [class] token and registers."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from showtell.nn.linear import Linear
from showtell.nn.positions import GridPositions, Positions


class PatchEmbedding(nn.Module):
    """A linear projection of each square patch: a reshape and one matrix product.

    Source: Dosovitskiy et al. 2021, equation 1.
    """

    def __init__(self, patch_size: int, width: int, *, bias: bool = True) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.project = Linear(3 * patch_size**2, width, bias=bias)

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B N D"]:
        """Normalised `[B 3 H W]` to `[B H/P*W/P D]`, row by row; incomplete patches are dropped."""
        return self.project(self.cut(pixels))

    def cut(self, pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B N 3*{self.patch_size}**2"]:
        """The pixels of each patch, `[B H/P*W/P 3*P*P]`, channels first."""
        size = self.patch_size
        rows, columns = pixels.shape[2] // size, pixels.shape[3] // size
        whole = pixels[:, :, : rows * size, : columns * size]
        patches = whole.unflatten(3, (columns, size)).unflatten(2, (rows, size)).permute(0, 2, 4, 1, 3, 5)
        return patches.flatten(3).flatten(1, 2)


class ImageEmbedding(nn.Module):
    """Patches plus positions, after an optional [class] token and registers.

        [class] + p_0 | r_1 .. r_R | E x_1 + p_1 .. E x_N + p_N

    Registers are learned tokens without position that the transformer uses as scratch space.
    Source: Dosovitskiy et al. 2021, equation 1; Darcet et al. 2024, "Vision Transformers Need Registers".
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        width: int,
        *,
        class_token: bool = True,
        num_registers: int = 0,
        mask_token: bool = False,
        positions: Positions = "learned",
        bias: bool = True,
        antialias: bool = False,
    ) -> None:
        super().__init__()
        self.patches = PatchEmbedding(patch_size, width, bias=bias)
        self.class_token = nn.Parameter(torch.zeros(width)) if class_token else None
        self.registers = nn.Parameter(torch.zeros(num_registers, width)) if num_registers else None
        self.mask_token = nn.Parameter(torch.zeros(width)) if mask_token else None
        self.positions = GridPositions(
            positions, image_size // patch_size, width, prefix=int(class_token), antialias=antialias
        )
        self.num_before = class_token + num_registers
        """Number of tokens before the first patch."""

    @property
    def plain(self) -> bool:
        """Whether it is [class] and patches, with learned positions, and nothing else."""
        return self.class_token is not None and self.registers is None and self.positions.kind == "learned"

    def forward(
        self, pixels: Float[Tensor, "B 3 H W"], masked: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """Normalised `[B 3 H W]` of any size to `[B num_before+N D]`, patches row by row.

        Where `masked [B N]` is True, the mask token replaces the patch.
        """
        rows, columns = (side // self.patches.patch_size for side in pixels.shape[2:])
        patches, positions = self.patches(pixels), self.positions(rows, columns)
        if masked is not None:
            assert self.mask_token is not None, "this image embedding has no mask token"
            patches = torch.where(masked[..., None], self.mask_token, patches)
        if self.class_token is None:
            return patches + positions
        before = self.class_token + positions[:1]
        if self.registers is not None:
            before = torch.cat([before, self.registers])
        return torch.cat([before.expand(len(patches), -1, -1), patches + positions[1:]], 1)
