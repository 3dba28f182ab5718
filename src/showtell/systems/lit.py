"""LiT: a text tower is trained to match the features of a locked (frozen) image tower.

    image -> backbone (frozen) -> mean -> linear -> u / |u|
    text  -> tokens -> transformer -> mean -> linear -> v / |v|
    loss  = mean of the cross-entropies of e^t u.v over rows and over columns

Source: Zhai et al. 2022, "LiT: Zero-Shot Transfer with Locked-image text Tuning", section 3, figure 2 ("Lu":
a locked, pretrained image tower, an unlocked text tower). Their text tower is a BERT too.
"""

from __future__ import annotations

import math
from collections.abc import Sized
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.fusion.dot_product import TwoTowers
from showtell.nn.fitted import FitsFeatures
from showtell.nn.linear import Linear
from showtell.nn.projection import BesideHidden, Standardise
from showtell.objectives.contrastive import symmetric_info_nce
from showtell.protocols import Encoded, Rate, Step
from showtell.systems.bert import BERTEncoder, BERTEncoderConfig


def _minilm() -> BERTEncoderConfig:
    return BERTEncoderConfig(width=384, depth=6, num_heads=12, mlp_dim=1536, pooler=False, pooling="mean")


@dataclass(frozen=True)
class LiTConfig(FitsFeatures):
    """MiniLM as the text tower, EfficientNet-Lite0 as the image tower."""

    text: BERTEncoderConfig = field(default_factory=_minilm)
    feature_width: int = 1280
    width: int = 512
    image_dropout: float = 0.5
    """Dropout of image features before their projection; without it, some thousand images are overfitted."""
    text_dropout: float = 0.1
    """Dropout of a text's vector before its projection."""
    text_rate: float = 1.0
    """The text tower's learning rate, as a multiple of the projections'; 0 freezes the tower."""
    temperature: float = 0.07
    hidden_width: int = 0
    """Of a hidden layer beside each projection; 0: none, as in the paper. For towers that are both frozen."""
    hidden_dropout: float = 0.3
    """Dropout of that layer."""
    standardise: bool = False
    """Bring what is projected to mean 0 and deviation 1 over the training data, images after a root."""

    def __post_init__(self) -> None:
        if self.standardise and self.text_rate:
            raise ValueError("standardise needs a frozen text tower: text_rate=0")

    @property
    def max_length(self) -> int:
        """The longest text, in tokens."""
        return self.text.max_length

    def build(self) -> LiT:
        """The untrained system of this config."""
        return LiT(self)

    def with_tokenizer(self, tokenizer: Sized) -> LiTConfig:
        """With the vocabulary size of `tokenizer`."""
        return replace(self, text=replace(self.text, vocab_size=len(tokenizer)))

    def with_text_tower(self, text: BERTEncoderConfig) -> LiTConfig:
        """For a pretrained text tower."""
        return replace(self, text=replace(text, dropout=self.text.dropout))


class LiT(TwoTowers):
    """Images and texts in one embedding space."""

    Config: ClassVar = LiTConfig
    reads: ClassVar = "pooled features"
    loss_weights: ClassVar = {"contrast": 1.0}

    def __init__(self, config: LiTConfig) -> None:
        super().__init__()
        self.config = c = config
        self.text = BERTEncoder(c.text)
        self.project_image = self._projection(c.feature_width)
        self.project_text = self._projection(c.text.width)
        if c.standardise:
            self.image_scale = Standardise(c.feature_width, root=True)
            self.text_scale = Standardise(c.text.width, root=False)
        self.log_logit_scale = nn.Parameter(torch.tensor(-math.log(c.temperature)))
        self.rates = {"text.": Rate(c.text_rate)} if c.text_rate else {}
        self.text.requires_grad_(c.text_rate > 0)

    def begin_texts(self, encoder: BERTEncoder) -> None:
        """Begin with the parameters of a pretrained encoder of texts."""
        self.text.load_state_dict(encoder.state_dict())

    def _projection(self, width: int) -> nn.Module:
        c = self.config
        if not c.hidden_width:
            return Linear(width, c.width)
        return BesideHidden(width, c.hidden_width, c.width, c.hidden_dropout)

    def _scaled(self, features: Tensor) -> Tensor:
        return self.image_scale(features) if self.config.standardise else features

    def fit_scales(self, images: Tensor, texts: Tensor) -> None:
        """Take the scales of the training images' features `[M F]` and the frozen text vectors `[R D]`."""
        if self.config.standardise:
            self.image_scale.fit(images)
            self.text_scale.fit(texts)

    @property
    def logit_scale(self) -> Float[Tensor, ""]:
        """`1 / temperature`, a scalar."""
        return self.log_logit_scale.exp()

    def encode_images(self, batch: Batch) -> Encoded:
        """The projected grid `[B N width]`; pooled `[B width]`, its mean projected, of length 1."""
        return Encoded(self.project_image(self._scaled(batch.images.features)), self.image_vectors(batch))

    def image_vectors(self, batch: Batch) -> Float[Tensor, "B D"]:
        """The pooled vectors alone, `[B width]`: only the mean is projected."""
        features = F.dropout(
            self._scaled(batch.images.features.mean(1)), self.config.image_dropout, self.training
        )
        return F.normalize(self.project_image(features), dim=-1)

    def encode_texts(self, batch: Batch) -> Encoded:
        """Tokens `[R L D]`; pooled `[R width]`, their mean projected, of length 1."""
        encoded = self.text.encode_texts(batch)
        return Encoded(encoded.tokens, self._projected(encoded.pooled), encoded.keep)

    def text_vectors(self, batch: Batch) -> Tensor:
        """The pooled vectors alone, `[R width]`."""
        return self._projected(self.frozen_text_vectors(batch))

    def frozen_text_vectors(self, batch: Batch) -> Tensor:
        """The text tower's vectors, not yet projected, `[R D]`: those of the batch where it holds them."""
        features = batch.texts.features
        return self.text.encode_texts(batch).pooled if features is None else features

    def _projected(self, features: Tensor) -> Tensor:
        features = self.text_scale(features) if self.config.standardise else features
        features = F.dropout(features, self.config.text_dropout, self.training)
        return F.normalize(self.project_text(features), dim=-1)

    def token_embeddings(self) -> Float[Tensor, "V D"]:
        """The token embedding `[V D]`."""
        return self.text.token_embeddings()

    def losses(
        self, images: Float[Tensor, "B D"], texts: Float[Tensor, "R D"], owner: Int[Tensor, " R"]
    ) -> dict[str, Float[Tensor, ""]]:
        """InfoNCE from image to text and from text to image."""
        return {"contrast": symmetric_info_nce(images, texts, self.logit_scale, owner)}

    @torch.no_grad()
    def after_step(self, step: Step) -> None:
        """Clip the logit scale at 100, as in CLIP."""
        self.log_logit_scale.clamp_(max=math.log(100))
