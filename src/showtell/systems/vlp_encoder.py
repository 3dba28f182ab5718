"""VLP's encoder: an image of text becomes features, of which a class of the text can be read.

    H x W x 3 -> CNN H/32 x W/32 x 2048 -> 1 x 1 conv -> flatten + sine positions -> encoder (pre-norm)
    VLPClassifier: -> mean over the image's tokens -> linear -> classes

Source: Basara 2023, "Visual Language Processing", and its repository visual-language-processing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.data.tokenizers.training import Vocabulary
from showtell.nn.backbones.resnet import Stem
from showtell.nn.class_names import ClassNames
from showtell.nn.feedforward import Activation
from showtell.nn.positions import sine_1d, sine_2d
from showtell.nn.towers import ImageTower
from showtell.nn.transformer import Transformer, initialise
from showtell.protocols import Encoded, Step


@dataclass(frozen=True)
class VLPEncoderConfig:
    """The encoder of `encoder_decoder_lg`, 129.0 M parameters."""

    backbone: str = "resnet50"
    """The CNN, by its architecture's name; `patches_16` and its like are patches without a CNN."""
    stem: Stem = "imagenet"
    positions: Literal["sine", "sine_2d"] = "sine"
    """Position embedding of the image's tokens: of their number, as in the paper, or of row and column."""
    width: int = 768
    depth: int = 12
    num_heads: int = 16
    mlp_dim: int = 4096
    activation: Activation = "relu"
    eps: float = 1e-6
    dropout: float = 0.0

    def build(self) -> VLPEncoder:
        """The untrained system of this config."""
        return VLPEncoder(self)


class VLPEncoder(nn.Module):
    """CNN and transformer encoder: the features of an image of text."""

    Config: ClassVar = VLPEncoderConfig
    reads: ClassVar = "pixels"

    def __init__(self, config: VLPEncoderConfig) -> None:
        super().__init__()
        self.config = c = config
        self.tower = ImageTower(c.backbone, c.stem)
        self.project = nn.Linear(self.tower.width, c.width)
        self.encoder: nn.Module = Transformer.of(c, norm="pre", dropout=c.dropout)
        self.project.apply(initialise)
        self.encoder.apply(initialise)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the tokens of an image of that many pixels."""
        rows, columns = self.tower.stride
        return -(-height // rows), -(-width // columns)

    def encode_images(self, batch: Batch) -> Encoded:
        """The encoder's tokens `[B N D]`, row by row, pooled as their mean; images of any size."""
        pixels = batch.images.pixels
        tokens = self.project(self.tower.grid(pixels))
        rows, columns = self.grid(*pixels.shape[2:])
        width = self.config.width
        two_d = self.config.positions == "sine_2d"
        positions = sine_2d(rows, columns, width) if two_d else sine_1d(rows * columns, width)
        tokens = self.encoder(F.dropout(tokens + positions.to(tokens), self.config.dropout, self.training))
        return Encoded(tokens, tokens.mean(1))


@dataclass(frozen=True)
class VLPClassifierConfig(ClassNames, VLPEncoderConfig):
    """The encoder with the three classes of entailment."""

    num_classes: int = 3
    drawn_tokens: int = 144
    """The most tokens of a page that is drawn to be classified."""
    drawn_pages: int = 1
    """The most pages of a text, but of a pair; its class is that of the mean over them."""

    def build(self) -> VLPClassifier:
        """The untrained system of this config."""
        return VLPClassifier(self)


class VLPClassifier(VLPEncoder):
    """Classifies the text of an image."""

    Config: ClassVar = VLPClassifierConfig
    config: VLPClassifierConfig
    vocabulary: ClassVar = Vocabulary("bpe", "roberta")
    heads: ClassVar = ("classifier.",)
    loss_weights: ClassVar = {"classes": 1.0}

    def __init__(self, config: VLPClassifierConfig) -> None:
        super().__init__(config)
        self.class_names = config.class_names
        self.classifier = nn.Linear(config.width, config.num_classes)
        self.classifier.apply(initialise)

    def classify(self, encoded: Encoded) -> Tensor:
        """Logits `[B num_classes]`."""
        return self.classifier(encoded.pooled)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of the classes."""
        logits = self.classify(self.encode_images(batch))
        return Step({"classes": F.cross_entropy(logits, batch.targets.labels)})
