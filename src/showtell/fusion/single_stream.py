"""Single stream: the tokens of a text and of an image side by side through one transformer.

    [CLS] w_1 .. w_L [SEP] | v_0 v_1 .. v_N  ->  transformer  ->  pooled = pooler([CLS])

Source: Chen et al. 2020, "UNITER", figure 1; Kim et al. 2021, "ViLT", figure 3 and equations 1 to 4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch, TextBatch
from showtell.nn.embed import TextEmbedding
from showtell.nn.mask import attention_mask
from showtell.protocols import Encoded


class SingleStream(nn.Module):
    """`PairEncoder` for a system that defines how texts and images are embedded, its `text` embedding, its
    `transformer`, which may be of any kind, and its `pooler`.
    """

    config: Any
    text: TextEmbedding
    transformer: nn.Module
    pooler: Callable[[Tensor], Tensor]

    def embed_texts(self, texts: TextBatch) -> Tensor:
        """The tokens `[R L D]` of the texts before they meet an image."""
        raise NotImplementedError

    def embed_images(
        self, batch: Batch, generator: torch.Generator | None = None, *, place: int = 0
    ) -> Encoded:
        """The `B` images before they meet a text."""
        raise NotImplementedError

    def token_embeddings(self) -> Tensor:
        """The token embedding `[V D]`."""
        return self.text.tokens.weight.detach()

    def fuse(self, batch: Batch, images: Encoded | None = None) -> Encoded:
        """Each text with its image: `L` tokens of the text, then those of the image; pooled from [CLS]."""
        images = self.embed_images(batch) if images is None else images
        owner = batch.texts.owner
        return self.join(batch.texts, images if owner is None else images[owner])

    def join(self, texts: TextBatch, images: Encoded) -> Encoded:
        """Text `r` with image `r`."""
        tokens = torch.cat([self.embed_texts(texts), images.tokens], 1)
        seen = images.keep
        if seen is None:
            seen = texts.keep.new_ones(images.tokens.shape[:2])
        keep = torch.cat([texts.keep, seen], 1)
        tokens = self.transformer(tokens, attention_mask(keep, queries=keep.shape[1]))
        return Encoded(tokens, self.pooler(tokens[:, 0]), keep)

    def dropped(self, tokens: Tensor) -> Tensor:
        """Embedded tokens after the config's dropout."""
        return F.dropout(tokens, self.config.dropout, self.training)
