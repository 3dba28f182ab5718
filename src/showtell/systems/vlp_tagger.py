"""VLP's tagger: a part of speech, or a kind of name, for each token of a text that an image shows.

    encoder -> decoder over the text's tokens -> linear -> a tag for each

Source: Basara 2023, "Visual Language Processing", and its repository visual-language-processing. A departure:
a token's tag is read where the token goes into the decoder, not where it is predicted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.nn.class_names import ClassNames
from showtell.nn.transformer import initialise
from showtell.protocols import Encoded, Step
from showtell.systems.vlp import VLP, VLPConfig


@dataclass(frozen=True)
class VLPTaggerConfig(ClassNames, VLPConfig):
    """`encoder_decoder_lg` with the 17 universal parts of speech."""

    num_classes: int = 17

    def build(self) -> VLPTagger:
        """The untrained system of this config."""
        return VLPTagger(self)


class VLPTagger(VLP):
    """Tags the tokens of a text that an image shows: parts of speech, or names."""

    Config: ClassVar = VLPTaggerConfig
    config: VLPTaggerConfig
    heads: ClassVar = ("tagger.",)
    uses: ClassVar = (
        "tags the words of texts, which it reads as images (`showtell tag`)",
        "It knows the tags of its training alone, of texts like those.",
    )

    def __init__(self, config: VLPTaggerConfig) -> None:
        super().__init__(config)
        self.class_names = config.class_names
        self.loss_weights["tags"] = 1.0
        self.tagger = nn.Linear(config.width, config.num_classes)
        self.tagger.apply(initialise)

    def token_tags(self, batch: Batch) -> Tensor:
        """Logits `[R L num_classes]` of the tag of each token of the texts that images show."""
        return self.tag_logits(self.encode_images(batch), self.owner(batch), batch.texts.ids)

    def tag_logits(self, encoded: Encoded, owner: Tensor, ids: Tensor) -> Tensor:
        """Logits `[R L num_classes]` of the tag of each token of `ids [R L]`, in the image `owner[r]`."""
        return self.tagger(self.decode(self.rows(self.prefill(encoded), owner), ids)[0])

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """The losses of reading, and cross-entropy of the tags, which -1 leaves out."""
        hidden, read = self.read(batch, self.encode_images(batch))
        tags = batch.targets.tags
        tagged = tags >= 0
        logits = self.tagger(hidden)[tagged]
        loss = F.cross_entropy(logits, tags[tagged], reduction="sum") / max(len(logits), 1)
        return Step({**read.losses, "tags": loss}, counts={**read.counts, "tags": len(logits)})
