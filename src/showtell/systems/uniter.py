"""UNITER: one transformer over words and the regions that an object detector found.

    text  -> [CLS] w_1 .. w_L [SEP]: token + position + type 0 -> norm
    image -> v_1 .. v_N: norm(norm(W f) + norm(W' box) + type 1)
    text | image -> transformer (post-norm) -> z
    tanh(W_p z_0) -> linear: do they match;  z_i at masked words -> softmax(E g(W z_i) + b)

Source: Chen et al. 2020, "UNITER: UNiversal Image-TExt Representation Learning", figure 1, section 3;
UNITER-base, on the uncased vocabulary. Masked regions (MRFR) and dropout of 0.1 are off by default.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from showtell.data.batch import Batch, ImageBatch, TextBatch
from showtell.data.tokenizers.training import Vocabulary
from showtell.fusion.answering import AnswererConfig, PairAnswers
from showtell.fusion.bert_start import BERTStart, BERTStartConfig
from showtell.fusion.pretraining import MaskedImages, PairPretraining, PairPretrainingConfig
from showtell.fusion.ranking import PairRanking, PairRankingConfig
from showtell.fusion.single_stream import SingleStream
from showtell.fusion.visual.regions import RegionEmbedder, regions
from showtell.nn.embed import TextEmbedding
from showtell.nn.feedforward import Activation
from showtell.nn.fitted import FitsFeatures, FitsTokenizer
from showtell.nn.heads import Pooler
from showtell.nn.transformer import Transformer, initialise
from showtell.objectives.masked_pixels import mask_some
from showtell.protocols import Encoded


@dataclass(frozen=True)
class UNITEREncoderConfig(FitsTokenizer, FitsFeatures):
    """UNITER-base."""

    vocab_size: int = 30522
    width: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_dim: int = 3072
    max_length: int = 512
    num_modal_types: int = 2
    """Text, image, and one more for each further image of a text."""
    feature_width: int = 2048
    activation: Activation = "gelu"
    eps: float = 1e-12
    dropout: float = 0.0

    def build(self) -> UNITEREncoder:
        """The untrained system of this config."""
        return UNITEREncoder(self)


class UNITEREncoder(SingleStream):
    """The transformer over pairs, without heads."""

    Config: ClassVar = UNITEREncoderConfig
    reads: ClassVar = "features"
    reads_regions: ClassVar = True
    num_class_tokens: ClassVar = 0
    vocabulary: ClassVar = Vocabulary("wordpiece", "bert")

    def __init__(self, config: UNITEREncoderConfig) -> None:
        super().__init__()
        self.config = c = config
        self.text = TextEmbedding(
            c.vocab_size, c.width, c.max_length, num_segments=c.num_modal_types, eps=c.eps
        )
        self.image = RegionEmbedder(c.width, c.feature_width, c.eps)
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
        """Regions `[B N D]`, of type `1 + place`."""
        assert self.text.segments is not None
        image = self.image(batch.images, self.text.segments.weight[1 + place])
        return replace(image, tokens=self.dropped(image.tokens))


@dataclass(frozen=True)
class UNITERConfig(BERTStartConfig, PairPretrainingConfig, UNITEREncoderConfig):
    """UNITER-base, pretrained."""

    def build(self) -> UNITER:
        """The untrained system of this config."""
        return UNITER(self)


class UNITER(BERTStart, UNITEREncoder, PairPretraining):
    """The encoder, pretrained on matching, masked words, their alignment to regions, and masked regions."""

    Config: ClassVar = UNITERConfig
    config: UNITERConfig

    def __init__(self, config: UNITERConfig) -> None:
        super().__init__(config)
        self.make_heads(config.eps, config.activation, masked_width=config.feature_width)

    def mask_images(self, batch: Batch, generator: torch.Generator | None = None) -> MaskedImages:
        """The images with some regions' features zero, their boxes there, and the features."""
        features, boxes, keep = regions(batch.images)
        real = torch.ones_like(boxes[..., 0], dtype=torch.bool) if keep is None else keep
        masked = mask_some(real, self.config.mask_rate, generator)
        shown = ImageBatch(features=features.masked_fill(masked[..., None], 0.0), boxes=boxes, keep=keep)
        return MaskedImages(self.embed_images(Batch(shown)), masked, features)


@dataclass(frozen=True)
class UNITERAnswererConfig(AnswererConfig, UNITEREncoderConfig):
    """UNITER-base with the 3,129 answers of VQA v2."""

    def build(self) -> UNITERAnswerer:
        """The untrained system of this config."""
        return UNITERAnswerer(self)


class UNITERAnswerer(UNITEREncoder, PairAnswers):
    """Answers questions about one image, or about two."""

    Config: ClassVar = UNITERAnswererConfig
    config: UNITERAnswererConfig
    image_types: ClassVar = "text.segments.weight"

    def __init__(self, config: UNITERAnswererConfig) -> None:
        super().__init__(config)
        self.make_answers()


@dataclass(frozen=True)
class UNITERRankerConfig(PairRankingConfig, UNITEREncoderConfig):
    """UNITER-base, that ranks images for a text."""

    def build(self) -> UNITERRanker:
        """The untrained system of this config."""
        return UNITERRanker(self)


class UNITERRanker(UNITEREncoder, PairRanking):
    """Scores how well an image and a text match, trained on each text's image among others."""

    Config: ClassVar = UNITERRankerConfig
    config: UNITERRankerConfig

    def __init__(self, config: UNITERRankerConfig) -> None:
        super().__init__(config)
        self.make_ranking()
