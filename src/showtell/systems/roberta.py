"""RoBERTa: BERT pretrained on dynamically masked tokens alone, over full sentences.

    <s> full sentences </s> -> token + position -> norm -> transformer (post-norm)
    masked tokens: softmax(E g(W t_i) + b) at the masked positions i, E the token embedding

Source: Liu et al. 2019, "RoBERTa", section 4: dynamic masking, no next-sentence loss, byte-level BPE.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.data.texts.contiguous import FullSentences
from showtell.data.tokenizers.training import Vocabulary
from showtell.nn.embed import TextEmbedding
from showtell.nn.feedforward import Activation
from showtell.nn.fitted import FitsMasks
from showtell.nn.heads import MaskedLMHead
from showtell.nn.mask import attention_mask
from showtell.nn.pool import first_token
from showtell.nn.transformer import Transformer, initialise
from showtell.objectives.masked_tokens import mask_tokens, masked_tokens
from showtell.protocols import Encoded, Step


@dataclass(frozen=True)
class RoBERTaConfig(FitsMasks):
    """RoBERTa-base. `special` ids are never masked: <s> <pad> </s> <unk> <mask>.

    `max_length` is the longest text in tokens; the position embedding has `first_position` more rows, which
    the released weights include although no token uses them.
    """

    vocab_size: int = 50265
    width: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_dim: int = 3072
    max_length: int = 512
    first_position: int = 2
    """Index of the first token's position embedding: those before belong to padding, as in the reference."""
    num_segments: int = 1
    activation: Activation = "gelu"
    eps: float = 1e-5
    dropout: float = 0.0
    mask_id: int = 50264
    special: tuple[int, ...] = (0, 1, 2, 3, 50264)
    mask_rate: float = 0.15
    dynamic: bool = True
    """Mask other tokens each time; if False, always the same ones of a row (section 4.1 compares both)."""

    def build(self) -> RoBERTa:
        """The untrained system of this config."""
        return RoBERTa(self)

    def with_tokenizer(self, tokenizer: Any) -> Self:
        """Also with the first position after the padding id, as in the reference."""
        return replace(super().with_tokenizer(tokenizer), first_position=tokenizer.pad + 1)


class RoBERTa(nn.Module):
    """A bidirectional text encoder, pretrained on masked tokens."""

    Config: ClassVar = RoBERTaConfig
    reads: ClassVar = "tokens"
    vocabulary: ClassVar = Vocabulary("bpe", "roberta")
    examples: ClassVar = FullSentences
    packs: ClassVar = True
    loss_weights: ClassVar = {"mlm": 1.0}

    def __init__(self, config: RoBERTaConfig) -> None:
        super().__init__()
        self.config = c = config
        self.embed = TextEmbedding(
            c.vocab_size,
            c.width,
            c.max_length,
            first_position=c.first_position,
            num_segments=c.num_segments,
            eps=c.eps,
        )
        self.transformer = Transformer.of(c, norm="post", dropout=c.dropout)
        self.mlm_head = MaskedLMHead(c.width, c.vocab_size, c.eps, c.activation)
        self.apply(initialise)

    def encode(self, batch: Batch) -> Float[Tensor, "R L D"]:
        """Tokens `[R L D]`; texts packed into one row do not attend to each other."""
        tokens = F.dropout(
            self.embed(batch.texts.ids, batch.texts.positions), self.config.dropout, self.training
        )
        mask = attention_mask(
            batch.texts.keep, queries=batch.texts.ids.shape[1], segments=batch.texts.sequences
        )
        return self.transformer(tokens, mask)

    def encode_texts(self, batch: Batch) -> Encoded:
        """Tokens `[R L D]`, pooled as the first token of each text, <s>."""
        tokens = self.encode(batch)
        return Encoded(tokens, first_token(tokens, batch.texts.keep, batch.texts.positions), batch.texts.keep)

    def token_embeddings(self) -> Float[Tensor, "V D"]:
        """The token embedding `[V D]`."""
        return self.embed.tokens.weight.detach()

    def masked_token_logits(self, tokens: Float[Tensor, "T D"]) -> Float[Tensor, "T V"]:
        """Logits `[T V]` of the token at each of `tokens [T D]`."""
        return self.mlm_head(tokens, self.embed.tokens.weight)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of the masked tokens; with `groups`, whole words are masked."""
        c = self.config
        ids, masked = mask_tokens(
            batch.texts.ids,
            batch.texts.keep,
            mask_id=c.mask_id,
            vocab_size=c.vocab_size,
            special=c.special,
            rate=c.mask_rate,
            groups=batch.texts.groups,
            dynamic=c.dynamic,
            generator=generator,
        )
        tokens = self.encode(replace(batch, texts=replace(batch.texts, ids=ids)))
        loss = masked_tokens(self.masked_token_logits(tokens[masked]), batch.texts.ids[masked])
        return Step({"mlm": loss}, counts={"mlm": masked.sum()})
