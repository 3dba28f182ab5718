"""BERT: a bidirectional text encoder, pretrained on masked tokens and next sentences.

    [CLS] A [SEP] B [SEP] -> token + segment + position -> norm -> transformer (post-norm)
    masked tokens: softmax(E g(W t_i) + b) at the masked positions i, E the token embedding
    next sentence: softmax(W' tanh(W_p t_0))

Source: Devlin et al. 2019, "BERT", figures 1 and 2, sections 3 and 3.1; the sizes are BERT-base. The paper's
dropout of 0.1 is off by default. Sentence encoders such as MiniLM are a `BERTEncoder` that pools the mean of
the tokens (Reimers & Gurevych 2019, "Sentence-BERT", section 3); what follows the pooling is its `head`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.data.texts.pairs import SentencePairs
from showtell.data.tokenizers.training import Vocabulary
from showtell.nn.embed import TextEmbedding
from showtell.nn.feedforward import Activation
from showtell.nn.fitted import FitsMasks, FitsTokenizer
from showtell.nn.heads import MaskedLMHead, Pooler
from showtell.nn.linear import Linear
from showtell.nn.mask import attention_mask
from showtell.nn.pool import Pooling, first_token, pool
from showtell.nn.sentence_head import HeadLayer, sentence_head
from showtell.nn.transformer import Transformer, initialise
from showtell.objectives.masked_tokens import mask_tokens, masked_tokens
from showtell.objectives.next_sentence import next_sentence
from showtell.protocols import Encoded, Step


@dataclass(frozen=True)
class BERTEncoderConfig(FitsTokenizer):
    """BERT-base, uncased."""

    vocab_size: int = 30522
    width: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_dim: int = 3072
    max_length: int = 512
    first_position: int = 0
    """Index of the first token's position embedding; 2 in RoBERTa."""
    num_segments: int = 2
    activation: Activation = "gelu"
    eps: float = 1e-12
    dropout: float = 0.0
    pooler: bool = True
    """Whether a dense layer follows [CLS]."""
    pooling: Pooling | tuple[Pooling, ...] = "first"
    """A text's vector: [CLS], through the pooler if there is one, the mean of its tokens, or several."""
    head: tuple[HeadLayer, ...] = ()
    """What follows the pooling, where a sentence encoder has more."""
    num_positions: int | None = None
    """Positions that have an embedding, where they are more than the `max_length` tokens that are read."""

    @property
    def poolings(self) -> tuple[Pooling, ...]:
        """The poolings whose vectors are put side by side."""
        return (self.pooling,) if isinstance(self.pooling, str) else self.pooling

    def build(self) -> BERTEncoder:
        """The untrained system of this config."""
        return BERTEncoder(self)


class BERTEncoder(nn.Module):
    """The bidirectional encoder, without heads."""

    Config: ClassVar = BERTEncoderConfig
    reads: ClassVar = "tokens"

    def __init__(self, config: BERTEncoderConfig) -> None:
        super().__init__()
        self.config = c = config
        self.embed = TextEmbedding(
            c.vocab_size,
            c.width,
            c.num_positions or c.max_length,
            first_position=c.first_position,
            num_segments=c.num_segments,
            eps=c.eps,
        )
        self.transformer = Transformer.of(c, norm="post", dropout=c.dropout)
        self.pooler = Pooler(c.width) if c.pooler else nn.Identity()
        self.head = sentence_head(c.head, c.width * len(c.poolings))
        self.apply(initialise)

    def encode(self, batch: Batch) -> Float[Tensor, "R L D"]:
        """Tokens `[R L D]`; texts packed into one row do not attend to each other."""
        tokens = self.embed(batch.texts.ids, batch.texts.positions, batch.texts.segments)
        tokens = F.dropout(tokens, self.config.dropout, self.training)
        mask = attention_mask(
            batch.texts.keep, queries=batch.texts.ids.shape[1], segments=batch.texts.sequences
        )
        return self.transformer(tokens, mask)

    def encode_texts(self, batch: Batch) -> Encoded:
        """Tokens `[R L D]`, and one vector per row or, where rows are packed, per text."""
        tokens = self.encode(batch)
        pooled = pool(self.config.poolings, tokens, batch.texts.keep, batch.texts.positions)
        if self.config.pooling == "first":
            pooled = self.pooler(pooled)
        return Encoded(tokens, self.head(pooled), batch.texts.keep)

    def token_embeddings(self) -> Float[Tensor, "V D"]:
        """The token embedding `[V D]`."""
        return self.embed.tokens.weight.detach()


@dataclass(frozen=True)
class BERTConfig(BERTEncoderConfig, FitsMasks):
    """BERT-base, uncased. `special` ids are never masked: [PAD] [UNK] [CLS] [SEP] [MASK].

    Without `pooler` there is no next sentence prediction: masked tokens alone.
    """

    mask_id: int = 103
    special: tuple[int, ...] = (0, 100, 101, 102, 103)
    mask_rate: float = 0.15
    dynamic: bool = True
    """Mask other tokens each time (Liu et al. 2019, section 4.1); if False, always the same ones of a row."""

    def build(self) -> BERT:
        """The untrained system of this config."""
        return BERT(self)


class BERT(BERTEncoder):
    """The encoder, pretrained on masked tokens and, if it has a pooler, next sentences jointly."""

    Config: ClassVar = BERTConfig
    vocabulary: ClassVar = Vocabulary("wordpiece", "bert")
    examples: ClassVar = SentencePairs
    packs: ClassVar = True
    config: BERTConfig

    def __init__(self, config: BERTConfig) -> None:
        super().__init__(config)
        self.mlm_head = MaskedLMHead(config.width, config.vocab_size, config.eps, config.activation)
        self.predicts_next_sentence = config.pooler
        self.loss_weights = {"mlm": 1.0} | ({"next_sentence": 1.0} if config.pooler else {})
        heads: list[nn.Module] = [self.mlm_head]
        if config.pooler:
            self.next_sentence = Linear(config.width, 2)
            heads.append(self.next_sentence)
        for head in heads:
            head.apply(initialise)

    def masked_token_logits(self, tokens: Float[Tensor, "T D"]) -> Float[Tensor, "T V"]:
        """Logits `[T V]` of the token at each of `tokens [T D]`."""
        return self.mlm_head(tokens, self.embed.tokens.weight)

    def next_sentence_logits(self, tokens: Float[Tensor, "R L D"], batch: Batch) -> Float[Tensor, "T 2"]:
        """Logits `[T 2]`: the second sentence of a text follows the first, or does not."""
        return self.next_sentence(self.pooler(first_token(tokens, batch.texts.keep, batch.texts.positions)))

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Both losses; `follows` has one target per text, and with `groups` whole words are masked."""
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
        losses = {"mlm": masked_tokens(self.masked_token_logits(tokens[masked]), batch.texts.ids[masked])}
        counts: dict[str, Tensor | int] = {"mlm": masked.sum()}
        if c.pooler:
            losses["next_sentence"] = next_sentence(
                self.next_sentence_logits(tokens, batch), batch.targets.follows
            )
            counts["next_sentence"] = len(batch.targets.follows)
        return Step(losses, counts=counts)
