"""A ranking run: an encoder of pairs, fine-tuned to tell each caption's image from others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from showtell.datasets.vocabulary import CaptionVocabulary, KnownVocabulary
from showtell.errors import UsageError
from showtell.pairing import PairScorer
from showtell.protocols import Trainable
from showtell.runs.finetuning import started
from showtell.runs.image_source import OTHER_FEATURES, ImageSource
from showtell.runs.vision_language import VisionLanguageRun


@dataclass(frozen=True)
class PairRankingRun(VisionLanguageRun):
    """Fine-tunes a `PairScorer` with a head of its own; its vocabulary and sizes are those of `model`."""

    whole_words: bool = False
    model: str = ""
    """The checkpoint to start from; empty: from scratch."""

    def _begin(self, device: str) -> tuple[ImageSource, CaptionVocabulary, Any]:
        if not self.model:
            return super()._begin(device)
        self._shape()
        start = started(self.system, self.model, (), (), self.train.seed, Trainable, PairScorer)
        images = self._images(start.system, device, start.version)
        if images.system != start.config:
            raise UsageError(f"{self.model} was trained on other features; {OTHER_FEATURES}")
        longest = min(self.vocabulary.max_length, start.config.max_length)
        return images, KnownVocabulary(start.given.tokenizer, longest), start.system
