"""What systems of two towers share: embed both sides apart, meet in one loss over all images and texts."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from showtell.data.batch import Batch
from showtell.data.bucket import by_length
from showtell.objectives.gather import gather_pairs
from showtell.protocols import Encoded, Step


class TwoTowers(nn.Module):
    """`Contrastive`, for a system that says how it embeds and what its losses are."""

    def encode_images(self, batch: Batch) -> Encoded:
        """The images, pooled to length 1, `[B D]`."""
        raise NotImplementedError

    def encode_texts(self, batch: Batch) -> Encoded:
        """The texts, pooled to length 1, `[R D]`."""
        raise NotImplementedError

    def losses(self, images: Tensor, texts: Tensor, owner: Tensor) -> Mapping[str, Tensor]:
        """The losses of `images [B D]` and `texts [R D]`, each text that of the image `owner [R]`."""
        raise NotImplementedError

    def encode_pairs(self, batch: Batch, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """What is compared: the pooled images `[B D]` and texts `[R D]`."""
        texts = by_length(batch, lambda group: self.encode_texts(group).pooled)
        return self.encode_images(batch).pooled, texts

    def compare(self, vectors: tuple[Tensor, ...], batch: Batch) -> Step:
        """The losses over the images and texts of all processes; no image may come twice."""
        assert batch.texts.owner is not None
        images, texts = vectors
        return Step(self.losses(*gather_pairs(images, texts, batch.texts.owner)))

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """The losses of the batch's images and texts."""
        return self.compare(self.encode_pairs(batch, generator), batch)
