"""Two towers whose pairs of image and text are told apart by a third part, which sees both."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn

from showtell.data.batch import Batch, TextBatch
from showtell.fusion.pairs import FusedPairs
from showtell.fusion.visual.tower import TowerEmbedder
from showtell.nn.decoder import of_rows
from showtell.protocols import Encoded, State


class Towers(Protocol):
    """What a system and its teacher both have: two encoders and the shared space."""

    image: TowerEmbedder

    def image_tokens(self, batch: Batch) -> Encoded:
        """Tokens `[B N C]` and, pooled, the vector `[B D]` of length 1."""
        ...

    def text_tokens(self, texts: TextBatch) -> Encoded:
        """Tokens `[R L W]` of the texts alone and, pooled, the vector `[R D]` of length 1."""
        ...

    def prefill(self, encoded: Encoded) -> State:
        """The keys and values of images, `[B ...]`."""
        ...


class PairTowers(FusedPairs):
    """`SharedSpace` and `PairScorer` for a system with `towers` and an `itm_head` that defines `ground`."""

    config: Any
    towers: Towers
    itm_head: nn.Module

    def ground(
        self, texts: TextBatch, memory: State, read: Float[Tensor, "R L W"] | None = None
    ) -> Float[Tensor, "R L W"]:
        """Tokens of the texts, each of which looks at the image of its row of the memory.

        `read` are their tokens alone, where they are there already and the system begins with them.
        """
        raise NotImplementedError

    @property
    def reads(self) -> str:
        """What the batch must hold of images."""
        return self.towers.image.reads

    @property
    def num_class_tokens(self) -> int:
        """Tokens of an image that are no patches and come first."""
        return self.towers.image.num_class_tokens

    @property
    def fused_width(self) -> int:
        """Width of a pair's vector."""
        return self.config.width

    def encode_images(self, batch: Batch) -> Encoded:
        """Tokens `[B N C]`; pooled `[B D]`, projected, of length 1."""
        return self.towers.image_tokens(batch)

    def encode_texts(self, batch: Batch) -> Encoded:
        """Tokens `[R L W]` of the texts alone; pooled `[R D]`, [CLS] projected, of length 1."""
        return self.towers.text_tokens(batch.texts)

    def image_vectors(self, batch: Batch) -> Float[Tensor, "B D"]:
        """What `encode_images` calls pooled."""
        return self.encode_images(batch).pooled

    def text_vectors(self, batch: Batch) -> Float[Tensor, "R D"]:
        """What `encode_texts` calls pooled."""
        return self.encode_texts(batch).pooled

    def embed_images(
        self, batch: Batch, generator: torch.Generator | None = None, *, place: int = 0
    ) -> Encoded:
        """As `encode_images`: what is computed once per image."""
        return self.encode_images(batch)

    def fuse(self, batch: Batch, images: Encoded | None = None) -> Encoded:
        """Each text, which looks at its image; pooled from its first token."""
        images = self.encode_images(batch) if images is None else images
        memory, owner = self.towers.prefill(images), batch.texts.owner
        tokens = self.ground(batch.texts, memory if owner is None else of_rows(memory, owner))
        return Encoded(tokens, tokens[:, 0], batch.texts.keep)

    def match(self, vectors: Float[Tensor, "R F"]) -> Float[Tensor, " R"]:
        """The log-odds that a pair belongs together."""
        no, yes = self.itm_head(vectors).unbind(1)
        return yes - no
