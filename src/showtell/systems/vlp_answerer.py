"""VLP's answerer: a question and a passage, drawn as two blocks of an image, become the answer's text.

    encoder -> decoder: [start] answer [end], or [start] [end] where the passage does not hold it

Nothing is added to `VLP`: the decoder that read the whole text writes the answer, and the pointer, where
there is one, points at the answer's tokens in the image.

Source: Basara 2023, "Visual Language Processing", and its repository visual-language-processing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from showtell.systems.vlp import VLP, VLPConfig


@dataclass(frozen=True)
class VLPAnswererConfig(VLPConfig):
    """`encoder_decoder_lg`, whose `max_length` is that of an answer."""

    drawn_tokens: int = 144
    """The most tokens of a question and a part of its passage that are drawn together."""
    abstains: bool = False
    """Whether no answer may be the best one, as some questions have none; follows from the data."""

    def build(self) -> VLPAnswerer:
        """The untrained system of this config."""
        return VLPAnswerer(self)


class VLPAnswerer(VLP):
    """Answers the question of an image that shows it with a passage."""

    Config: ClassVar = VLPAnswererConfig
    config: VLPAnswererConfig
    heads: ClassVar[tuple[str, ...]] = ()
    uses: ClassVar = (
        "answers questions on passages, which it reads as images (`showtell answer`)",
        "It answers as the questions of its training were answered, from the passage alone.",
    )
