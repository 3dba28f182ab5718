"""Dot product of two towers: images and texts meet only in the loss over all pairs of a batch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from showtell.data.batch import Batch
from showtell.data.bucket import by_length
from showtell.objectives.gather import gather_pairs
from showtell.protocols import Encoded, Step


class TwoTowers(nn.Module):
    """`Contrastive` and `SharedSpace` for a system that defines its two encoders and its losses."""

    def encode_images(self, batch: Batch) -> Encoded:
        """The images' tokens, and their vectors of length 1, `[B D]`."""
        raise NotImplementedError

    def encode_texts(self, batch: Batch) -> Encoded:
        """The texts' tokens, and their vectors of length 1, `[R D]`."""
        raise NotImplementedError

    def image_vectors(self, batch: Batch) -> Float[Tensor, "B D"]:
        """What `encode_images` calls pooled, `[B D]`; a system that needs no tokens for it overrides this."""
        return self.encode_images(batch).pooled

    def text_vectors(self, batch: Batch) -> Float[Tensor, "R D"]:
        """What `encode_texts` calls pooled, `[R D]`; a system that needs no tokens for it overrides this."""
        return self.encode_texts(batch).pooled

    def losses(
        self, images: Float[Tensor, "B D"], texts: Float[Tensor, "R D"], owner: Int[Tensor, " R"]
    ) -> Mapping[str, Float[Tensor, ""]]:
        """The losses of `images [B D]` and `texts [R D]`; text `r` describes image `owner[r]`."""
        raise NotImplementedError

    def encode_pairs(
        self, batch: Batch, generator: torch.Generator | None = None
    ) -> tuple[Float[Tensor, "_ D"], ...]:
        """The image vectors `[B D]` and text vectors `[R D]`, texts of like length computed together."""
        texts = by_length(batch, self.text_vectors)
        return self.image_vectors(batch), texts

    def compare(self, vectors: tuple[Float[Tensor, "_ D"], ...], batch: Batch) -> Step:
        """The losses over the images and texts of all processes; every image must be in one process only."""
        assert batch.texts.owner is not None
        images, texts = vectors
        return Step(self.losses(*gather_pairs(images, texts, batch.texts.owner)))

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """The losses of the batch's images and texts."""
        return self.compare(self.encode_pairs(batch, generator), batch)
