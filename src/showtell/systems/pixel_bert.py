"""Pixel-BERT: one transformer over words and the grid of a convolutional network.

    text  -> [CLS] w_1 .. w_L [SEP]: token + position + type 0 -> norm
    image -> ResNet -> grid -> some of its pixels, in training -> linear -> + type 1
    text | image -> transformer (post-norm) -> z
    tanh(W_p z_0) -> linear: do they match;  z_i at masked words -> softmax(E g(W z_i) + b)

Source: Huang et al. 2020, "Pixel-BERT: Aligning Image Pixels with Text by Deep Multi-Modal Transformers",
figure 2, sections 3.1 to 3.4; ResNet-50, trained along. With `backbone=""` the grid is the features of a
frozen image encoder. Word-patch alignment is not the paper's and off by default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from showtell.data.batch import Batch, TextBatch
from showtell.data.tokenizers.training import Vocabulary
from showtell.fusion.answering import AnswererConfig, PairAnswers
from showtell.fusion.bert_start import BERTStart, BERTStartConfig
from showtell.fusion.pretraining import PairPretraining, PairPretrainingConfig
from showtell.fusion.ranking import PairRanking, PairRankingConfig
from showtell.fusion.single_stream import SingleStream
from showtell.fusion.visual.grid import GridEmbedder
from showtell.nn.backbones.resnet import Stem
from showtell.nn.embed import TextEmbedding
from showtell.nn.feedforward import Activation
from showtell.nn.fitted import FitsFeatures, FitsTokenizer
from showtell.nn.heads import Pooler
from showtell.nn.transformer import Transformer, initialise
from showtell.protocols import Encoded


@dataclass(frozen=True)
class PixelBERTEncoderConfig(FitsTokenizer, FitsFeatures):
    """Pixel-BERT with ResNet-50."""

    vocab_size: int = 30522
    width: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_dim: int = 3072
    max_length: int = 512
    num_modal_types: int = 2
    """Text, image, and one more for each further image of a text."""
    backbone: str = "resnet50"
    """The network before the transformer, trained along; empty where a frozen encoder's features are read."""
    stem: Stem = "imagenet"
    image_size: int = 224
    """Side of an image in pixels, where the network reads them."""
    feature_width: int = 2048
    num_sampled: int = 100
    """Pixels of the grid that are read in training, at most."""
    activation: Activation = "gelu"
    eps: float = 1e-12
    dropout: float = 0.0

    def build(self) -> PixelBERTEncoder:
        """The untrained system of this config."""
        return PixelBERTEncoder(self)

    @property
    def size_multiple(self) -> int:
        """Pixels: images of any size fit."""
        return 1


class PixelBERTEncoder(SingleStream):
    """The transformer over pairs, without heads."""

    Config: ClassVar = PixelBERTEncoderConfig
    num_class_tokens: ClassVar = 0
    vocabulary: ClassVar = Vocabulary("wordpiece", "bert")

    def __init__(self, config: PixelBERTEncoderConfig) -> None:
        super().__init__()
        self.config = c = config
        self.text = TextEmbedding(
            c.vocab_size, c.width, c.max_length, num_segments=c.num_modal_types, eps=c.eps
        )
        self.reads = "pixels" if c.backbone else "features"
        self.image = GridEmbedder(
            c.width,
            backbone=c.backbone,
            stem=c.stem,
            feature_width=c.feature_width,
            num_sampled=c.num_sampled,
        )
        self.transformer = Transformer.of(c, norm="post", dropout=c.dropout)
        self.pooler = Pooler(c.width)
        self.fused_width = c.width
        self.apply(initialise)

    def embed_texts(self, texts: TextBatch) -> Float[Tensor, "R L D"]:
        """Tokens of the texts, of type 0."""
        return self.dropped(self.text(texts.ids, texts.positions))

    def embed_images(
        self, batch: Batch, generator: torch.Generator | None = None, *, place: int = 0
    ) -> Encoded:
        """The grid `[B N D]`, row by row, of type `1 + place`."""
        assert self.text.segments is not None
        image, modal = self.image(batch.images, generator), self.text.segments.weight[1 + place]
        return Encoded(self.dropped(image.tokens + modal), image.pooled + modal)


@dataclass(frozen=True)
class PixelBERTConfig(BERTStartConfig, PairPretrainingConfig, PixelBERTEncoderConfig):
    """Pixel-BERT with ResNet-50, pretrained."""

    alignment: float = 0.0

    def build(self) -> PixelBERT:
        """The untrained system of this config."""
        return PixelBERT(self)


class PixelBERT(BERTStart, PixelBERTEncoder, PairPretraining):
    """The encoder, pretrained on matching and masked words."""

    Config: ClassVar = PixelBERTConfig
    config: PixelBERTConfig

    def __init__(self, config: PixelBERTConfig) -> None:
        super().__init__(config)
        self.make_heads(config.eps, config.activation)


@dataclass(frozen=True)
class PixelBERTAnswererConfig(AnswererConfig, PixelBERTEncoderConfig):
    """Pixel-BERT with the 3,129 answers of VQA v2."""

    def build(self) -> PixelBERTAnswerer:
        """The untrained system of this config."""
        return PixelBERTAnswerer(self)


class PixelBERTAnswerer(PixelBERTEncoder, PairAnswers):
    """Answers questions about one image, or about two."""

    Config: ClassVar = PixelBERTAnswererConfig
    config: PixelBERTAnswererConfig
    image_types: ClassVar = "text.segments.weight"

    def __init__(self, config: PixelBERTAnswererConfig) -> None:
        super().__init__(config)
        self.make_answers()


@dataclass(frozen=True)
class PixelBERTRankerConfig(PairRankingConfig, PixelBERTEncoderConfig):
    """Pixel-BERT with ResNet-50, that ranks images for a text."""

    def build(self) -> PixelBERTRanker:
        """The untrained system of this config."""
        return PixelBERTRanker(self)


class PixelBERTRanker(PixelBERTEncoder, PairRanking):
    """Scores how well an image and a text match, trained on each text's image among others."""

    Config: ClassVar = PixelBERTRankerConfig
    config: PixelBERTRankerConfig

    def __init__(self, config: PixelBERTRankerConfig) -> None:
        super().__init__(config)
        self.make_ranking()
