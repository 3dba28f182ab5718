"""BERT fine-tuned: a class of a text or of a pair of texts, a tag for each token, or a span that answers.

    [CLS] A [SEP] B [SEP] -> encoder -> BERTClassifier: pooled -> linear -> classes
                                     -> BERTTagger: each token t_i -> linear -> tags
                                     -> BERTAnswerer: each token t_i -> linear -> first, last of the answer

Source: Devlin et al. 2019, "BERT", figure 4, sections 4.1 to 4.3 and 5.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.data.tokenizers.training import Vocabulary
from showtell.nn.class_names import ClassNames
from showtell.nn.linear import Linear
from showtell.nn.transformer import initialise
from showtell.protocols import Encoded, Step
from showtell.systems.bert import BERTEncoder, BERTEncoderConfig


@dataclass(frozen=True)
class BERTClassifierConfig(ClassNames, BERTEncoderConfig):
    """BERT-base, uncased, with the three classes of entailment."""

    num_classes: int = 3

    def build(self) -> BERTClassifier:
        """The untrained system of this config."""
        return BERTClassifier(self)


class BERTClassifier(BERTEncoder):
    """Classifies texts, and pairs of them as two segments."""

    Config: ClassVar = BERTClassifierConfig
    config: BERTClassifierConfig
    vocabulary: ClassVar = Vocabulary("wordpiece", "bert")
    heads: ClassVar = ("classifier.",)
    loss_weights: ClassVar = {"classes": 1.0}

    def __init__(self, config: BERTClassifierConfig) -> None:
        super().__init__(config)
        if config.pooling != "first":
            self.pooler = nn.Identity()  # of [CLS], which is not read
        self.class_names = config.class_names
        self.classifier = Linear(config.width * len(config.poolings), config.num_classes)
        self.classifier.apply(initialise)

    def classify(self, encoded: Encoded) -> Tensor:
        """Logits `[R num_classes]`."""
        return self.classifier(encoded.pooled)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of the classes."""
        logits = self.classify(self.encode_texts(batch))
        return Step({"classes": F.cross_entropy(logits, batch.targets.classes)})


@dataclass(frozen=True)
class BERTTaggerConfig(ClassNames, BERTEncoderConfig):
    """BERT-base, uncased, with the 17 universal parts of speech."""

    num_classes: int = 17

    def build(self) -> BERTTagger:
        """The untrained system of this config."""
        return BERTTagger(self)


class BERTTagger(BERTEncoder):
    """Tags the tokens of a text: parts of speech, or names."""

    Config: ClassVar = BERTTaggerConfig
    config: BERTTaggerConfig
    vocabulary: ClassVar = Vocabulary("wordpiece", "bert")
    heads: ClassVar = ("tagger.",)
    loss_weights: ClassVar = {"tags": 1.0}

    def __init__(self, config: BERTTaggerConfig) -> None:
        super().__init__(config)
        self.pooler = nn.Identity()  # of [CLS], which has no tag
        self.class_names = config.class_names
        self.tagger = Linear(config.width, config.num_classes)
        self.tagger.apply(initialise)

    def token_tags(self, batch: Batch) -> Tensor:
        """Logits `[R L num_classes]` of the tag of each token."""
        return self.tagger(self.encode(batch))

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of the tags, which -1 leaves out."""
        tags = batch.targets.tags
        logits = self.token_tags(batch)[tags >= 0]
        loss = F.cross_entropy(logits, tags[tags >= 0], reduction="sum") / max(len(logits), 1)
        return Step({"tags": loss}, counts={"tags": len(logits)})


@dataclass(frozen=True)
class BERTAnswererConfig(BERTEncoderConfig):
    """BERT-base, uncased."""

    abstains: bool = False
    """Whether no answer may be the best one, as some questions have none; follows from the data."""

    def build(self) -> BERTAnswerer:
        """The untrained system of this config."""
        return BERTAnswerer(self)


class BERTAnswerer(BERTEncoder):
    """Points at the span of a passage that answers a question, or at [CLS] where none does."""

    Config: ClassVar = BERTAnswererConfig
    config: BERTAnswererConfig
    vocabulary: ClassVar = Vocabulary("wordpiece", "bert")
    heads: ClassVar = ("answerer.",)
    loss_weights: ClassVar = {"spans": 1.0}

    def __init__(self, config: BERTAnswererConfig) -> None:
        super().__init__(config)
        self.pooler = nn.Identity()  # of [CLS], which is pointed at like any token
        self.answerer = Linear(config.width, 2)
        self.answerer.apply(initialise)

    def span_logits(self, batch: Batch) -> Tensor:
        """Logits `[R L 2]` of each token to be the answer's first and its last; padding is neither."""
        return self.answerer(self.encode(batch)).masked_fill(~batch.texts.keep[..., None], -torch.inf)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of the first and the last token, their mean. Source: section 4.2."""
        return Step({"spans": F.cross_entropy(self.span_logits(batch), batch.targets.spans)})
