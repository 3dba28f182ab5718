"""Single stream: the tokens of a text and of an image side by side through one transformer.

    [CLS] w_1 .. w_L [SEP] | v_0 v_1 .. v_N  ->  transformer  ->  pooled = pooler([CLS])

Source: Chen et al. 2020, "UNITER", figure 1; Kim et al. 2021, "ViLT", figure 3 and equations 1 to 4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch, TextBatch
from showtell.fusion.pairs import JoinedPairs
from showtell.nn.attention import pick
from showtell.nn.embed import TextEmbedding
from showtell.nn.mask import attention_mask
from showtell.nn.transformer import Transformer
from showtell.protocols import Encoded


class SingleStream(JoinedPairs):
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

    def token_embeddings(self) -> Tensor:
        """The token embedding `[V D]`."""
        return self.text.tokens.weight.detach()

    def join(self, texts: TextBatch, images: Encoded) -> Encoded:
        """Text `r` with image `r`: `L` tokens of the text, then those of the image; pooled from [CLS]."""
        tokens, keep = self._side_by_side(texts, images)
        tokens = self.transformer(tokens, attention_mask(keep, queries=keep.shape[1]))
        return Encoded(tokens, self.pool(pick(tokens, self.pooled_at(texts), 1)[:, 0]), keep)

    def pair_vectors(self, batch: Batch, images: Encoded | None = None) -> Tensor:
        """What `fuse` calls pooled, `[R fused_width]`: the last block of a `Transformer` computes no more."""
        if not isinstance(self.transformer, Transformer):
            return super().pair_vectors(batch, images)
        texts = batch.texts
        tokens, keep = self._side_by_side(texts, self.images_of(batch, images))
        mask = attention_mask(keep, queries=keep.shape[1])
        return self.pool(self.transformer(tokens, mask, self.pooled_at(texts))[:, 0])

    def pooled_at(self, texts: TextBatch) -> Int[Tensor, " R"]:
        """The token that the vector of each pair is made of: [CLS]."""
        return torch.zeros(len(texts), dtype=torch.long, device=texts.ids.device)

    def pool(self, tokens: Float[Tensor, "R D"]) -> Float[Tensor, "R F"]:
        """The vector of each pair, of its token."""
        return self.pooler(tokens)

    def _side_by_side(self, texts: TextBatch, images: Encoded) -> tuple[Tensor, Tensor]:
        """The tokens `[R L+N D]` of text `r` and of image `r`, and which are real."""
        seen = texts.keep.new_ones(images.tokens.shape[:2]) if images.keep is None else images.keep
        return torch.cat([self.embed_texts(texts), images.tokens], 1), torch.cat([texts.keep, seen], 1)

    def dropped(self, tokens: Tensor) -> Tensor:
        """Embedded tokens after the config's dropout."""
        return F.dropout(tokens, self.config.dropout, self.training)
