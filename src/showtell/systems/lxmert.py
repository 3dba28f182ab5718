"""LXMERT: an encoder of words, one of regions, and layers in which the two look at each other.

    text  -> [CLS] w_1 .. w_L [SEP]: token + position + segment -> norm -> 9 blocks ---------------+
    image -> v_1 .. v_N: (norm(W f) + norm(W' box)) / 2 -> 5 blocks -------------------------------+
    5 times: x' = norm(x + attention(x, y)), y' = norm(y + attention(y, x)), by the same attention,
             then a block of its own for each -> z | v
    tanh(W_p z_0) -> linear: do they match;  z_i at masked words -> softmax(E g(W z_i) + b)
    tanh(W_p z_0) -> linear -> GELU -> norm -> linear -> answers

Source: Tan & Bansal 2019, "LXMERT: Learning Cross-Modality Encoder Representations from Transformers", figure
1, sections 2 and 3.1. In place of the paper's losses over regions, words are aligned to them, as in UNITER.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch, TextBatch
from showtell.data.tokenizers.training import Vocabulary
from showtell.fusion.answering import AnswererConfig, PairAnswers
from showtell.fusion.pairs import JoinedPairs
from showtell.fusion.pretraining import PairPretraining, PairPretrainingConfig
from showtell.fusion.ranking import PairRanking, PairRankingConfig
from showtell.fusion.visual.regions import regions
from showtell.nn.attention import Attention
from showtell.nn.blocks import PostNormBlock
from showtell.nn.embed import TextEmbedding
from showtell.nn.feedforward import Activation
from showtell.nn.fitted import FitsFeatures, FitsTokenizer
from showtell.nn.heads import Pooler
from showtell.nn.linear import Linear
from showtell.nn.mask import attention_mask
from showtell.nn.pool import mean_token
from showtell.nn.transformer import initialise
from showtell.protocols import Encoded

Mask = Bool[Tensor, "#B #H #N #M"] | None


@dataclass(frozen=True)
class LXMERTEncoderConfig(FitsTokenizer, FitsFeatures):
    """LXMERT."""

    vocab_size: int = 30522
    width: int = 768
    depth: int = 9
    """Blocks of the text alone."""
    image_depth: int = 5
    """Blocks of the image alone."""
    cross_depth: int = 5
    """Layers in which they look at each other."""
    num_heads: int = 12
    mlp_dim: int = 3072
    max_length: int = 512
    num_segments: int = 2
    feature_width: int = 2048
    activation: Activation = "gelu"
    eps: float = 1e-12
    dropout: float = 0.0

    def build(self) -> LXMERTEncoder:
        """The untrained system of this config."""
        return LXMERTEncoder(self)

    def block(self) -> PostNormBlock:
        """An untrained block of either stream."""
        return PostNormBlock(
            self.width, self.num_heads, self.mlp_dim, self.activation, self.eps, self.dropout
        )


class Exchange(nn.Module):
    """Each stream looks at the other, by the same attention; then each attends to itself."""

    def __init__(self, config: LXMERTEncoderConfig) -> None:
        super().__init__()
        c = config
        self.look = Attention(c.width, c.num_heads, c.width)
        self.norm = nn.LayerNorm(c.width, c.eps)
        self.text, self.image = c.block(), c.block()
        self.dropout = nn.Dropout(c.dropout)

    def forward(
        self, x: Float[Tensor, "B L D"], y: Float[Tensor, "B N D"], x_mask: Mask, y_mask: Mask
    ) -> tuple[Float[Tensor, "B L D"], Float[Tensor, "B N D"]]:
        """Words and regions; a mask says which tokens of its stream may be attended to, `[B 1 1 L]`."""
        looked = (
            self.norm(one + self.dropout(self.look(one, other, mask)))
            for one, other, mask in ((x, y, y_mask), (y, x, x_mask))
        )
        return self.text(next(looked), x_mask), self.image(next(looked), y_mask)


class LXMERTEncoder(JoinedPairs):
    """The three encoders, without heads."""

    Config: ClassVar = LXMERTEncoderConfig
    config: LXMERTEncoderConfig
    reads: ClassVar = "features"
    reads_regions: ClassVar = True
    num_class_tokens: ClassVar = 0
    vocabulary: ClassVar = Vocabulary("wordpiece", "bert")

    def __init__(self, config: LXMERTEncoderConfig) -> None:
        super().__init__()
        self.config = c = config
        self.text = TextEmbedding(c.vocab_size, c.width, c.max_length, num_segments=c.num_segments, eps=c.eps)
        self.features, self.places = Linear(c.feature_width, c.width), Linear(4, c.width)
        self.features_norm, self.places_norm = nn.LayerNorm(c.width, c.eps), nn.LayerNorm(c.width, c.eps)
        self.text_blocks = nn.ModuleList(c.block() for _ in range(c.depth))
        self.image_blocks = nn.ModuleList(c.block() for _ in range(c.image_depth))
        self.exchanges = nn.ModuleList(Exchange(c) for _ in range(c.cross_depth))
        self.pooler = Pooler(c.width)
        self.fused_width = c.width
        self.apply(initialise)

    def token_embeddings(self) -> Float[Tensor, "V D"]:
        """The token embedding `[V D]`."""
        return self.text.tokens.weight.detach()

    def embed_texts(self, texts: TextBatch) -> Float[Tensor, "R L D"]:
        """Tokens of the texts after their own blocks."""
        tokens = self._dropped(self.text(texts.ids, texts.positions, texts.segments))
        for block in self.text_blocks:
            tokens = block(tokens, attention_mask(texts.keep, queries=1))
        return tokens

    def embed_images(
        self, batch: Batch, generator: torch.Generator | None = None, *, place: int = 0
    ) -> Encoded:
        """Regions `[B N D]` after their own blocks."""
        features, boxes, keep = regions(batch.images)
        both = self.features_norm(self.features(features)) + self.places_norm(self.places(boxes))
        tokens = self._dropped(both / 2)
        for block in self.image_blocks:
            tokens = block(tokens, attention_mask(keep, queries=1))
        return Encoded(tokens, mean_token(tokens, keep, None), keep)

    def join(self, texts: TextBatch, images: Encoded) -> Encoded:
        """Text `r` with image `r`: `L` tokens of the text, then those of the image; pooled from [CLS]."""
        x, y, seen = self.embed_texts(texts), images.tokens, images.keep
        masks = attention_mask(texts.keep, queries=1), attention_mask(seen, queries=1)
        for exchange in self.exchanges:
            x, y = exchange(x, y, *masks)
        seen = texts.keep.new_ones(y.shape[:2]) if seen is None else seen
        return Encoded(torch.cat([x, y], 1), self.pooler(x[:, 0]), torch.cat([texts.keep, seen], 1))

    def freeze_unread(self) -> None:
        """Leave untrained what no pooled pair depends on: the regions' block of the last layer."""
        for exchange in list(self.exchanges)[-1:]:
            exchange.image.requires_grad_(False)

    def _dropped(self, tokens: Tensor) -> Tensor:
        return F.dropout(tokens, self.config.dropout, self.training)


@dataclass(frozen=True)
class LXMERTConfig(PairPretrainingConfig, LXMERTEncoderConfig):
    """LXMERT, pretrained."""

    def build(self) -> LXMERT:
        """The untrained system of this config."""
        return LXMERT(self)


class LXMERT(LXMERTEncoder, PairPretraining):
    """The encoder, pretrained on matching, masked words and the alignment of words to regions."""

    Config: ClassVar = LXMERTConfig
    config: LXMERTConfig

    def __init__(self, config: LXMERTConfig) -> None:
        super().__init__(config)
        self.make_heads(config.eps, config.activation)


@dataclass(frozen=True)
class LXMERTAnswererConfig(AnswererConfig, LXMERTEncoderConfig):
    """LXMERT with the 9,500 answers of its pretraining."""

    num_classes: int = 9500
    exclusive: bool = True

    def build(self) -> LXMERTAnswerer:
        """The untrained system of this config."""
        return LXMERTAnswerer(self)


class LXMERTAnswerer(LXMERTEncoder, PairAnswers):
    """Answers questions about one image, or about two."""

    Config: ClassVar = LXMERTAnswererConfig
    config: LXMERTAnswererConfig

    def __init__(self, config: LXMERTAnswererConfig) -> None:
        super().__init__(config)
        c, hidden = config, 2 * config.width
        self.make_answers()
        self.classifier = nn.Sequential(
            Linear(c.width * c.num_images, hidden),
            nn.GELU(),
            nn.LayerNorm(hidden, c.eps),
            Linear(hidden, c.num_classes),
        )
        self.classifier.apply(initialise)
        self.freeze_unread()


@dataclass(frozen=True)
class LXMERTRankerConfig(PairRankingConfig, LXMERTEncoderConfig):
    """LXMERT, that ranks images for a text."""

    def build(self) -> LXMERTRanker:
        """The untrained system of this config."""
        return LXMERTRanker(self)


class LXMERTRanker(LXMERTEncoder, PairRanking):
    """Scores how well an image and a text match, trained on each text's image among others."""

    Config: ClassVar = LXMERTRankerConfig
    config: LXMERTRankerConfig

    def __init__(self, config: LXMERTRankerConfig) -> None:
        super().__init__(config)
        self.make_ranking()
        self.freeze_unread()
