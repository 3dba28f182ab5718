"""The patch embedder: images of any aspect ratio to a linear projection of each patch, without a network.

    image, padded to the largest of the batch -> patches -> some of them -> linear -> + positions
    [class] + p_0 | E x_1 + p_1 .. E x_M + p_M

Source: Kim et al. 2021, "ViLT", section 3.1 and, for the sampling of patches, section 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import ImageBatch
from showtell.nn.patch_embedding import PatchEmbedding
from showtell.nn.pixels import PixelNorm
from showtell.nn.pool import mean_token
from showtell.nn.positions import stretched
from showtell.protocols import Encoded


@dataclass(frozen=True)
class Patches:
    """Patches of some images before their projection."""

    pixels: Float[Tensor, "B M P"]
    """Normalised, channels first."""
    positions: Float[Tensor, "#B M D"]
    keep: Bool[Tensor, "B M"] | None
    """True for a patch of the image, False for one of the padding; None without padding."""

    def without(self, masked: Bool[Tensor, "B M"]) -> Patches:
        """The same, those that are masked grey."""
        return replace(self, pixels=self.pixels.masked_fill(masked[..., None], 0.0))


class PatchEmbedder(nn.Module):
    """Patches of images of any size to tokens, [class] first.

    Positions are learned on the square grid of `image_size` and interpolated for each image's own. In
    training at most `num_sampled` patches of each image are read, drawn from its own.
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        width: int,
        *,
        num_sampled: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ) -> None:
        super().__init__()
        self.normalise = PixelNorm(mean, std)
        self.patches = PatchEmbedding(patch_size, width)
        self.class_token = nn.Parameter(torch.zeros(width))
        self.positions = nn.Parameter(torch.empty(1 + (image_size // patch_size) ** 2, width))
        nn.init.normal_(self.positions, std=0.02)
        self.num_sampled = num_sampled

    def forward(self, images: ImageBatch, generator: torch.Generator | None = None) -> Encoded:
        """[class] and patches `[B 1+M D]`, row by row; pooled is their mean."""
        return self.embed(self.choose(images, generator))

    def choose(self, images: ImageBatch, generator: torch.Generator | None = None) -> Patches:
        """The patches that are read: all of each image, or in training some."""
        size, pixels = self.patches.patch_size, images.pixels
        rows, columns = pixels.shape[2] // size, pixels.shape[3] // size
        patches = self.patches.cut(self.normalise(pixels))
        grid = self.positions[1:]
        if images.sizes is None:
            keep, positions = None, stretched(grid, rows, columns)[None]
        else:
            own = images.sizes.to(pixels.device) // size
            keep, positions = _inside(own, rows, columns), _positions(grid, own, rows, columns)
        chosen = self._sampled(keep, patches, generator)
        if chosen is None:
            return Patches(patches, positions, keep)
        at = chosen[..., None]
        return Patches(
            patches.take_along_dim(at, 1),
            positions.expand(len(patches), -1, -1).take_along_dim(at, 1),
            None if keep is None else keep.take_along_dim(chosen, 1),
        )

    def embed(self, patches: Patches) -> Encoded:
        """Tokens `[B 1+M D]` of chosen patches."""
        tokens = self.patches.project(patches.pixels) + patches.positions
        first = (self.class_token + self.positions[0]).expand(len(tokens), 1, -1)
        tokens = torch.cat([first, tokens], 1)
        keep = None if patches.keep is None else F.pad(patches.keep, (1, 0), value=True)
        return Encoded(tokens, mean_token(tokens, keep, None), keep)

    def _sampled(
        self,
        keep: Bool[Tensor, "B N"] | None,
        patches: Float[Tensor, "B N P"],
        generator: torch.Generator | None,
    ) -> Int[Tensor, "B M"] | None:
        """Which patches are read, in their order, padding only where an image has no more; None for all."""
        images, count, _ = patches.shape
        longest = count if keep is None else int(keep.sum(1).max())
        most = min(longest, self.num_sampled) if self.training else longest
        if most == count:
            return None
        rank = torch.zeros(images, count, device=patches.device)
        if most < longest:
            device = patches.device if generator is None else generator.device
            rank = torch.rand(images, count, generator=generator, device=device).to(patches.device)
        if keep is not None:
            rank = rank + 2.0 * ~keep
        return rank.argsort(dim=1, stable=True)[:, :most].sort(1).values


def _inside(own: Int[Tensor, "B 2"], rows: int, columns: int) -> Bool[Tensor, "B N"]:
    """Which patches of a padded grid are of the image, whose own grid is `own`."""
    row = torch.arange(rows, device=own.device) < own[:, :1]
    column = torch.arange(columns, device=own.device) < own[:, 1:]
    return (row[:, :, None] & column[:, None]).flatten(1)


def _positions(
    table: Float[Tensor, "S D"], own: Int[Tensor, "B 2"], rows: int, columns: int
) -> Float[Tensor, "B N D"]:
    """The positions of each image's own grid, zero in the padding; each size computed once."""
    sizes, which = own.unique(dim=0, return_inverse=True)
    grids = [
        F.pad(
            stretched(table, high, wide).unflatten(0, (high, wide)),
            (0, 0, 0, columns - wide, 0, rows - high),
        ).flatten(0, 1)
        for high, wide in sizes.tolist()
    ]
    return torch.stack(grids)[which]
