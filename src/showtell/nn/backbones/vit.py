"""ViT backbones for images of any size."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from showtell.nn.backbones.resnet import Stem
from showtell.nn.patch_embedding import PatchEmbedding
from showtell.nn.positions import sine_2d
from showtell.nn.transformer import Transformer, initialise


@dataclass(frozen=True)
class TransformerShape:
    """Width, depth and heads; the MLP is four times as wide."""

    width: int
    depth: int
    num_heads: int


# Source: Dosovitskiy et al. 2021, table 1 (base), Touvron et al. 2021, "DeiT", table 1 (small); mini is ours.
SHAPES = {
    "vit_mini": TransformerShape(192, 6, 3),
    "vit_small": TransformerShape(384, 12, 6),
    "vit_base": TransformerShape(768, 12, 12),
}
PATCH_SIZE = {"imagenet": 16, "cifar": 4}
"""Pixels per side of a patch, by stem."""


class VisionTransformer(nn.Module):
    """Patches, sine positions, pre-norm blocks; no [class] token, the mean replaces it.

    Source: Dosovitskiy et al. 2021, figure 1; fixed sine positions as in Chen, Xie & He 2021, "An empirical
    study of training self-supervised vision transformers", section 4.1.
    """

    def __init__(self, shape: TransformerShape, patch_size: int) -> None:
        super().__init__()
        self.width = shape.width
        self.stride = (patch_size, patch_size)
        self.patches = PatchEmbedding(patch_size, shape.width)
        self.transformer = Transformer(
            shape.width, shape.depth, shape.num_heads, 4 * shape.width, norm="pre", eps=1e-6
        )
        self.apply(initialise)

    def encode_patches(
        self, patches: Float[Tensor, "B N D"], rows: int, columns: int
    ) -> Float[Tensor, "B N D"]:
        """Embedded patches of a `rows` by `columns` grid, through positions and blocks."""
        return self.transformer(patches + sine_2d(rows, columns, self.width).to(patches))

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B N D"]:
        """Normalised `[B 3 H W]` to one token per patch; incomplete patches are dropped."""
        size = self.patches.patch_size
        return self.encode_patches(self.patches(pixels), pixels.shape[2] // size, pixels.shape[3] // size)


def build(name: str, stem: Stem) -> VisionTransformer:
    """The untrained network of a shape; the stem decides its patch size."""
    return VisionTransformer(SHAPES[name], PATCH_SIZE[stem])
