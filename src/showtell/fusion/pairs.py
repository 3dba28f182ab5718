"""What encoders of pairs share, however they bring an image and a text together."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from showtell.data.batch import Batch, TextBatch
from showtell.protocols import Encoded


class FusedPairs(nn.Module):
    """`PairEncoder` for a system that defines `embed_images` and `fuse`."""

    def embed_images(
        self, batch: Batch, generator: torch.Generator | None = None, *, place: int = 0
    ) -> Encoded:
        """The `B` images before they meet a text."""
        raise NotImplementedError

    def fuse(self, batch: Batch, images: Encoded | None = None) -> Encoded:
        """Each text together with its image; pooled, the pair's vector."""
        raise NotImplementedError

    def pair_vectors(self, batch: Batch, images: Encoded | None = None) -> Tensor:
        """What `fuse` calls pooled, `[R fused_width]`."""
        return self.fuse(batch, images).pooled


class JoinedPairs(FusedPairs):
    """`PairEncoder` for a system that defines `embed_images` and `join`."""

    def join(self, texts: TextBatch, images: Encoded) -> Encoded:
        """Text `r` with image `r`: the tokens begin with those of the text; pooled, the pair's vector."""
        raise NotImplementedError

    def fuse(self, batch: Batch, images: Encoded | None = None) -> Encoded:
        """Each text with its image, as `join`."""
        return self.join(batch.texts, self.images_of(batch, images))

    def images_of(self, batch: Batch, images: Encoded | None) -> Encoded:
        """The image of each text, embedded now unless it is."""
        images = self.embed_images(batch) if images is None else images
        owner = batch.texts.owner
        return images if owner is None else images[owner]
