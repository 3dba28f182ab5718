"""BERT: read both ways, guess the hidden words, and say whether two sentences belong together.

    [CLS] A [SEP] B [SEP] -> word + segment + position -> norm -> transformer (post-norm)
    hidden words:  softmax(E g(W t_i) + b) over the masked positions i, E the word embedding
    next sentence: softmax(W' tanh(W_p t_0))

Source: Devlin et al. 2019, "BERT", figures 1 and 2, sections 3 and 3.1; the sizes are BERT-base. The paper's
dropout of 0.1 is off unless asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.nn.embed import TextEmbedding
from showtell.nn.heads import MaskedWordHead, Pooler
from showtell.nn.mask import attention_mask
from showtell.nn.transformer import Activation, Transformer, initialise
from showtell.objectives.masked_words import mask_words, masked_words
from showtell.objectives.next_sentence import next_sentence
from showtell.protocols import Encoded, Step


@dataclass(frozen=True)
class BERTConfig:
    """BERT-base, uncased. `special` are the ids that are never hidden: [PAD] [UNK] [CLS] [SEP] [MASK]."""

    vocab_size: int = 30522
    width: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_dim: int = 3072
    max_length: int = 512
    num_segments: int = 2
    activation: Activation = "gelu"
    eps: float = 1e-12
    dropout: float = 0.0
    mask_id: int = 103
    special: tuple[int, ...] = (0, 100, 101, 102, 103)
    mask_rate: float = 0.15


class BERT(nn.Module):
    """Bidirectional encoder of texts, pretrained on masked words and next sentences jointly."""

    Config: ClassVar = BERTConfig
    loss_weights: ClassVar = {"words": 1.0, "next_sentence": 1.0}

    def __init__(self, config: BERTConfig) -> None:
        super().__init__()
        self.config = c = config
        self.embed = TextEmbedding(
            c.vocab_size, c.width, c.max_length, num_segments=c.num_segments, eps=c.eps
        )
        self.transformer = Transformer(
            c.width,
            c.depth,
            c.num_heads,
            c.mlp_dim,
            norm="post",
            activation=c.activation,
            eps=c.eps,
            dropout=c.dropout,
        )
        self.pooler = Pooler(c.width)
        self.words = MaskedWordHead(c.width, c.vocab_size, c.eps, c.activation)
        self.next_sentence = nn.Linear(c.width, 2)
        self.apply(initialise)

    def embed_text(self, batch: Batch) -> Encoded:
        """Each text as `tokens [R L D]`, pooled from [CLS]."""
        assert batch.ids is not None
        tokens = self.embed(batch.ids, segments=batch.segments)
        tokens = F.dropout(tokens, self.config.dropout, self.training)
        tokens = self.transformer(tokens, attention_mask(batch.keep, queries=batch.ids.shape[1]))
        return Encoded(tokens, self.pooler(tokens), batch.keep)

    def word_vectors(self) -> Tensor:
        """`[V D]`."""
        return self.embed.words.weight.detach()

    def guess(self, tokens: Tensor) -> Tensor:
        """Which word stands at each of `tokens [T D]`: logits `[T V]`."""
        return self.words(tokens, self.embed.words.weight)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Both losses. The words are hidden anew each time; `groups` hides whole words."""
        assert batch.ids is not None
        assert batch.keep is not None
        assert batch.follows is not None
        c = self.config
        ids, masked = mask_words(
            batch.ids,
            batch.keep,
            mask_id=c.mask_id,
            vocab_size=c.vocab_size,
            special=c.special,
            rate=c.mask_rate,
            groups=batch.groups,
            generator=generator,
        )
        encoded = self.embed_text(Batch(ids=ids, keep=batch.keep, segments=batch.segments))
        return Step(
            {
                "words": masked_words(self.guess(encoded.tokens[masked]), batch.ids[masked]),
                "next_sentence": next_sentence(self.next_sentence(encoded.pooled), batch.follows),
            }
        )

    def after_step(self, step: Step) -> None:
        """Nothing moves but by its gradient."""
