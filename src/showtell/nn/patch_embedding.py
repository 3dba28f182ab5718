"""From an image to the tokens of a transformer."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from showtell.nn.embed import PatchEmbedding
from showtell.nn.positions import GridPositions, Positions


class ImageEmbedding(nn.Module):
    """Patches with their positions, behind a [class] token and registers where there are any.

        [class] + p_0 | r_1 .. r_R | E x_1 + p_1 .. E x_N + p_N

    Registers are tokens without content or place, for the transformer to note things on.
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
        """How many tokens stand before the first patch."""

    def forward(
        self, pixels: Float[Tensor, "B 3 H W"], masked: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """`[B 3 H W]`, normalised, any size, to `[B num_before+N D]`, patches line by line.

        Where `masked [B N]` is True the mask token stands in a patch's place.
        """
        rows, columns = (side // self.patches.patch_size for side in pixels.shape[2:])
        patches, places = self.patches(pixels), self.positions(rows, columns)
        if masked is not None:
            assert self.mask_token is not None, "this image embedding was built without a mask token"
            patches = torch.where(masked[..., None], self.mask_token, patches)
        if self.class_token is None:
            return patches + places
        before = self.class_token + places[:1]
        if self.registers is not None:
            before = torch.cat([before, self.registers])
        return torch.cat([before.expand(len(patches), -1, -1), patches + places[1:]], 1)
