"""ViLT fine-tuned: answers to questions (VQA), statements about two images (NLVR2), ranking of texts.

Source: Kim et al. 2021, "ViLT", sections 4.2 to 4.4: for two images the modal types of the second image are
copied from the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from showtell.fusion.answering import AnswererConfig, PairAnswers
from showtell.fusion.ranking import PairRanking, PairRankingConfig
from showtell.systems.vilt import ViLTEncoder, ViLTEncoderConfig


@dataclass(frozen=True)
class ViLTAnswererConfig(AnswererConfig, ViLTEncoderConfig):
    """ViLT-B/32 with the 3,129 answers of VQA v2."""

    def build(self) -> ViLTAnswerer:
        """The untrained system of this config."""
        return ViLTAnswerer(self)


class ViLTAnswerer(ViLTEncoder, PairAnswers):
    """Answers questions about one image, or about two."""

    Config: ClassVar = ViLTAnswererConfig
    config: ViLTAnswererConfig
    image_types: ClassVar = "modal_types.weight"

    def __init__(self, config: ViLTAnswererConfig) -> None:
        super().__init__(config)
        self.make_answers()


@dataclass(frozen=True)
class ViLTRankerConfig(PairRankingConfig, ViLTEncoderConfig):
    """ViLT-B/32, that ranks images for a text."""

    def build(self) -> ViLTRanker:
        """The untrained system of this config."""
        return ViLTRanker(self)


class ViLTRanker(ViLTEncoder, PairRanking):
    """Scores how well an image and a text match, trained on each text's image among others."""

    Config: ClassVar = ViLTRankerConfig
    config: ViLTRankerConfig

    def __init__(self, config: ViLTRankerConfig) -> None:
        super().__init__(config)
        self.make_ranking()
