"""ViLBERT: two transformers, one over words and one over regions, that attend to each other.

    text  -> [CLS] w_1 .. w_L [SEP]: token + segment + position -> norm -> 6 blocks -+
    image -> v_0 v_1 .. v_N: norm(W f + W' box), v_0 the whole image ----------------+
    6 times: each looks at the other, then a block of its own -> h_CLS, h_0
    relu(A h_CLS) * relu(B h_0) -> linear: do they match
    h_i at masked words -> softmax(E g(W h_i) + b)

Source: Lu et al. 2019, "ViLBERT: Pretraining Task-Agnostic Visiolinguistic Representations", figures 1 to 3,
sections 2.1, 2.2 and 3.1. The image stream is 1,024 wide with 8 heads; in co-attention each stream keeps its
own width and heads, where the released code takes those of the image for both. Masked regions are not
trained, and dropout is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from showtell.data.batch import Batch, TextBatch
from showtell.data.tokenizers.training import Vocabulary
from showtell.fusion.answering import AnswererConfig, PairAnswers
from showtell.fusion.co_attention import CoAttention
from showtell.fusion.pairs import JoinedPairs
from showtell.fusion.pretraining import PairPretraining, PairPretrainingConfig
from showtell.fusion.ranking import PairRanking, PairRankingConfig
from showtell.fusion.visual.regions import regions
from showtell.nn.embed import TextEmbedding
from showtell.nn.feedforward import Activation
from showtell.nn.fitted import FitsFeatures, FitsTokenizer
from showtell.nn.linear import Linear
from showtell.nn.mask import attention_mask
from showtell.nn.pool import mean_token
from showtell.nn.transformer import initialise
from showtell.protocols import Encoded


@dataclass(frozen=True)
class Stream:
    """Sizes of the image's transformer."""

    width: int = 1024
    depth: int = 6
    num_heads: int = 8
    mlp_dim: int = 1024
    activation: Activation = "gelu"
    eps: float = 1e-12


@dataclass(frozen=True)
class ViLBERTEncoderConfig(FitsTokenizer, FitsFeatures):
    """ViLBERT on BERT-base."""

    vocab_size: int = 30522
    width: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_dim: int = 3072
    max_length: int = 512
    num_segments: int = 2
    num_images: int = 1
    """Images that a text may have."""
    image: Stream = Stream()
    feature_width: int = 2048
    pair_width: int = 1024
    """Width of a pair's vector."""
    activation: Activation = "gelu"
    eps: float = 1e-12

    def build(self) -> ViLBERTEncoder:
        """The untrained system of this config."""
        return ViLBERTEncoder(self)


class ViLBERTEncoder(JoinedPairs):
    """The two streams, without heads."""

    Config: ClassVar = ViLBERTEncoderConfig
    reads: ClassVar = "features"
    reads_regions: ClassVar = True
    num_class_tokens: ClassVar = 1
    vocabulary: ClassVar = Vocabulary("wordpiece", "bert")

    def __init__(self, config: ViLBERTEncoderConfig) -> None:
        super().__init__()
        self.config = c = config
        self.text = TextEmbedding(c.vocab_size, c.width, c.max_length, num_segments=c.num_segments, eps=c.eps)
        self.features = Linear(c.feature_width, c.image.width)
        self.places = Linear(5, c.image.width)
        self.image_places = nn.Embedding(c.num_images, c.image.width) if c.num_images > 1 else None
        self.image_norm = nn.LayerNorm(c.image.width, c.image.eps)
        self.streams = CoAttention(c, c.image)
        self.pool_text = Linear(c.width, c.pair_width)
        self.pool_image = Linear(c.image.width, c.pair_width)
        self.fused_width = c.pair_width
        self.apply(initialise)

    def embed_texts(self, texts: TextBatch) -> Float[Tensor, "R L D"]:
        """Tokens of the texts before their own blocks."""
        return self.text(texts.ids, texts.positions, texts.segments)

    def embed_images(
        self, batch: Batch, generator: torch.Generator | None = None, *, place: int = 0
    ) -> Encoded:
        """The whole image, the mean of its regions, and the regions `[B 1+N E]`."""
        features, boxes, keep = regions(batch.images)
        whole = boxes.new_tensor([0.0, 0.0, 1.0, 1.0]).expand(len(boxes), 1, 4)
        features = torch.cat([mean_token(features, keep, None)[:, None], features], 1)
        places = with_area(torch.cat([whole, boxes], 1))
        tokens = self.features(features) + self.places(places)
        if self.image_places is not None:
            tokens = tokens + self.image_places.weight[place]
        tokens = self.image_norm(tokens)
        keep = None if keep is None else nn.functional.pad(keep, (1, 0), value=True)
        return Encoded(tokens, tokens[:, 0], keep)

    def join(self, texts: TextBatch, images: Encoded) -> Encoded:
        """Text `r` with image `r`: the tokens of the text `[R L D]`, and the pair's vector."""
        text, image = self.streams(
            self.embed_texts(texts),
            images.tokens,
            attention_mask(texts.keep, queries=1),
            attention_mask(images.keep, queries=1),
        )
        pooled = self.pool_text(text[:, 0]).relu() * self.pool_image(image[:, 0]).relu()
        return Encoded(text, pooled, texts.keep)

    def token_embeddings(self) -> Float[Tensor, "V D"]:
        """The token embedding `[V D]`."""
        return self.text.tokens.weight.detach()


def with_area(boxes: Float[Tensor, "B N 4"]) -> Float[Tensor, "B N 5"]:
    """Left, top, right, bottom and area of boxes in 0..1."""
    left, top, right, bottom = boxes.unbind(-1)
    return torch.cat([boxes, ((right - left) * (bottom - top))[..., None]], -1)


@dataclass(frozen=True)
class ViLBERTConfig(PairPretrainingConfig, ViLBERTEncoderConfig):
    """ViLBERT on BERT-base, pretrained. Its streams are apart, so words are not aligned to regions."""

    alignment: float = 0.0

    def __post_init__(self) -> None:
        if self.alignment:
            raise ValueError("alignment is of one stream: ViLBERT has two of different widths")

    def build(self) -> ViLBERT:
        """The untrained system of this config."""
        return ViLBERT(self)


class ViLBERT(ViLBERTEncoder, PairPretraining):
    """The encoder, pretrained on matching and masked words."""

    Config: ClassVar = ViLBERTConfig
    config: ViLBERTConfig

    def __init__(self, config: ViLBERTConfig) -> None:
        super().__init__(config)
        self.make_heads(config.eps, config.activation)


@dataclass(frozen=True)
class ViLBERTAnswererConfig(AnswererConfig, ViLBERTEncoderConfig):
    """ViLBERT with the 3,129 answers of VQA v2."""

    def build(self) -> ViLBERTAnswerer:
        """The untrained system of this config."""
        return ViLBERTAnswerer(self)


class ViLBERTAnswerer(ViLBERTEncoder, PairAnswers):
    """Answers questions about one image, or about two."""

    Config: ClassVar = ViLBERTAnswererConfig
    config: ViLBERTAnswererConfig
    heads: ClassVar = (*PairAnswers.heads, "image_places.")

    def __init__(self, config: ViLBERTAnswererConfig) -> None:
        super().__init__(config)
        self.make_answers()


@dataclass(frozen=True)
class ViLBERTRankerConfig(PairRankingConfig, ViLBERTEncoderConfig):
    """ViLBERT on BERT-base, that ranks images for a text."""

    def build(self) -> ViLBERTRanker:
        """The untrained system of this config."""
        return ViLBERTRanker(self)


class ViLBERTRanker(ViLBERTEncoder, PairRanking):
    """Scores how well an image and a text match, trained on each text's image among others."""

    Config: ClassVar = ViLBERTRankerConfig
    config: ViLBERTRankerConfig

    def __init__(self, config: ViLBERTRankerConfig) -> None:
        super().__init__(config)
        self.make_ranking()
