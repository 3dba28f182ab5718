"""VisualBERT: BERT over words and the features of regions, which need no place.

    text  -> [CLS] w_1 .. w_L [SEP]: norm(token + position + segment)
    image -> v_1 .. v_N: norm(W f + p + s), one position p and one segment s for all
    text | image -> transformer (post-norm) -> z
    tanh(W_p z_0) -> linear: do they match;  z_i at masked words -> softmax(E g(W z_i) + b)
    answers: linear of z at the last word of the question, or of tanh(W_p z_0)

Source: Li et al. 2019, "VisualBERT: A Simple and Performant Baseline for Vision and Language", figure 2,
sections 3.2, 3.3 and 4; the sizes are BERT-base's. Word-patch alignment is not the paper's and off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from showtell.data.batch import Batch, TextBatch
from showtell.data.tokenizers.training import Vocabulary
from showtell.fusion.answering import AnswererConfig, PairAnswers
from showtell.fusion.pretraining import PairPretraining, PairPretrainingConfig
from showtell.fusion.ranking import PairRanking, PairRankingConfig
from showtell.fusion.single_stream import SingleStream
from showtell.nn.embed import TextEmbedding
from showtell.nn.feedforward import Activation
from showtell.nn.fitted import FitsFeatures, FitsTokenizer
from showtell.nn.heads import Pooler
from showtell.nn.linear import Linear
from showtell.nn.pool import mean_token
from showtell.nn.transformer import Transformer, initialise
from showtell.protocols import Encoded


@dataclass(frozen=True)
class VisualBERTEncoderConfig(FitsTokenizer, FitsFeatures):
    """VisualBERT on BERT-base, over the 2,048 features of a Faster R-CNN."""

    vocab_size: int = 30522
    width: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_dim: int = 3072
    max_length: int = 512
    num_segments: int = 2
    feature_width: int = 2048
    activation: Activation = "gelu"
    eps: float = 1e-12
    dropout: float = 0.0

    def build(self) -> VisualBERTEncoder:
        """The untrained system of this config."""
        return VisualBERTEncoder(self)


class VisualBERTEncoder(SingleStream):
    """The transformer over pairs, without heads."""

    Config: ClassVar = VisualBERTEncoderConfig
    config: VisualBERTEncoderConfig
    pooler: Pooler
    reads: ClassVar = "features"
    reads_regions: ClassVar = True
    num_class_tokens: ClassVar = 0
    vocabulary: ClassVar = Vocabulary("wordpiece", "bert")

    def __init__(self, config: VisualBERTEncoderConfig) -> None:
        super().__init__()
        self.config = c = config
        self.text = TextEmbedding(c.vocab_size, c.width, c.max_length, num_segments=c.num_segments, eps=c.eps)
        self.project = Linear(c.feature_width, c.width)
        self.image_positions = nn.Embedding(c.max_length, c.width)
        self.image_segments = nn.Embedding(c.num_segments, c.width)
        self.transformer = Transformer.of(c, norm="post", dropout=c.dropout)
        self.pooler = Pooler(c.width)
        self.fused_width = c.width
        self.apply(initialise)

    def embed_texts(self, texts: TextBatch) -> Float[Tensor, "R L D"]:
        """Tokens of the texts."""
        return self.dropped(self.text(texts.ids, texts.positions, texts.segments))

    def embed_images(
        self, batch: Batch, generator: torch.Generator | None = None, *, place: int = 0
    ) -> Encoded:
        """Regions `[B N D]`, all in the first position of images and in segment 1."""
        features, keep = batch.images.features, batch.images.keep
        same = self.image_positions.weight[0] + self.image_segments.weight[1]
        tokens = self.dropped(self.text.norm(self.project(features) + same))
        return Encoded(tokens, mean_token(tokens, keep, None), keep)


@dataclass(frozen=True)
class VisualBERTConfig(PairPretrainingConfig, VisualBERTEncoderConfig):
    """VisualBERT, pretrained."""

    alignment: float = 0.0

    def build(self) -> VisualBERT:
        """The untrained system of this config."""
        return VisualBERT(self)


class VisualBERT(VisualBERTEncoder, PairPretraining):
    """The encoder, pretrained on matching and masked words."""

    Config: ClassVar = VisualBERTConfig
    config: VisualBERTConfig

    def __init__(self, config: VisualBERTConfig) -> None:
        super().__init__(config)
        self.make_heads(config.eps, config.activation)

    def match(self, vectors: Float[Tensor, "R F"]) -> Float[Tensor, " R"]:
        """The log-odds that a pair belongs together, which is the first class here, as in BERT."""
        yes, no = self.itm_head(vectors).unbind(1)
        return yes - no


@dataclass(frozen=True)
class VisualBERTAnswererConfig(AnswererConfig, VisualBERTEncoderConfig):
    """VisualBERT with the 3,129 answers of VQA v2."""

    exclusive: bool = True
    reading: Literal["last word", "pooled"] = "last word"
    """What the answer is a linear function of: the question's last word (VQA), or the pooled pair (NLVR2)."""

    def build(self) -> VisualBERTAnswerer:
        """The untrained system of this config."""
        return VisualBERTAnswerer(self)


class VisualBERTAnswerer(VisualBERTEncoder, PairAnswers):
    """Answers questions about one image, or about two."""

    Config: ClassVar = VisualBERTAnswererConfig
    config: VisualBERTAnswererConfig

    def __init__(self, config: VisualBERTAnswererConfig) -> None:
        super().__init__(config)
        c = config
        self.make_answers()
        self.classifier = Linear(c.width * c.num_images, c.num_classes)
        self.classifier.apply(initialise)
        if c.reading == "last word":
            self.pooler.requires_grad_(False)  # published checkpoints carry it along, and nothing reads it

    def pooled_at(self, texts: TextBatch) -> Int[Tensor, " R"]:
        """The token that the answer depends on: [CLS], or the last word, which [SEP] follows."""
        return super().pooled_at(texts) if self.config.reading == "pooled" else texts.keep.sum(1) - 2

    def pool(self, tokens: Float[Tensor, "R D"]) -> Float[Tensor, "R D"]:
        """The pooled pair; a last word is read as it is."""
        return super().pool(tokens) if self.config.reading == "pooled" else tokens


@dataclass(frozen=True)
class VisualBERTRankerConfig(PairRankingConfig, VisualBERTEncoderConfig):
    """VisualBERT on BERT-base, that ranks images for a text."""

    def build(self) -> VisualBERTRanker:
        """The untrained system of this config."""
        return VisualBERTRanker(self)


class VisualBERTRanker(VisualBERTEncoder, PairRanking):
    """Scores how well an image and a text match, trained on each text's image among others."""

    Config: ClassVar = VisualBERTRankerConfig
    config: VisualBERTRankerConfig

    def __init__(self, config: VisualBERTRankerConfig) -> None:
        super().__init__(config)
        self.make_ranking()
