"""Images among the tokens of a language model: their tokens projected, and placed where a text names them.

    image tokens [N C] -> linear, or linear -> GELU -> linear -> [N D]
    "a <image> b" -> e(a), N vectors, e(b)

Source: Liu et al. 2023, "Visual Instruction Tuning" (LLaVA), section 4.1, equation 1, for the linear layer;
Liu et al. 2023, "Improved Baselines with Visual Instruction Tuning", section 3.2, for two of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.errors import UserError
from showtell.nn.linear import Linear

ProjectorKind = Literal["linear", "mlp"]


class Projector(nn.Module):
    """The tokens of an image in the width of a language model."""

    def __init__(self, context_width: int, width: int, kind: ProjectorKind = "mlp") -> None:
        super().__init__()
        self.first = Linear(context_width, width)
        self.second = Linear(width, width) if kind == "mlp" else None

    def forward(self, tokens: Float[Tensor, "B N C"]) -> Float[Tensor, "B N D"]:
        """`[B N C]` to `[B N D]`."""
        tokens = self.first(tokens)
        return tokens if self.second is None else self.second(F.gelu(tokens))


def expanded(ids: Iterable[int], image_id: int, count: int) -> list[int]:
    """Ids with `count` image tokens in the place of each, one for every token that an image has.

    >>> expanded([5, 9, 6], image_id=9, count=3)
    [5, 9, 9, 9, 6]
    """
    return [one for i in ids for one in [i] * (count if i == image_id else 1)]


def placed(
    tokens: Float[Tensor, "R L D"],
    where: Bool[Tensor, "R L"],
    images: Float[Tensor, "B N D"],
    keep: Bool[Tensor, "B N"] | None = None,
) -> Float[Tensor, "R L D"]:
    """Token vectors with those of the images in the places `where` a row has an image token, row by row.

    Raises `UserError` with both counts when there are more or fewer places than image tokens.
    """
    given = images.flatten(0, 1) if keep is None else images[keep]
    if int(where.sum()) != len(given):
        raise UserError(
            f"the text has {int(where.sum())} image tokens, and the {len(images)} images have {len(given)}: "
            "name each image once, in the order of the images"
        )
    return tokens.masked_scatter(where[..., None], given.to(tokens.dtype))
