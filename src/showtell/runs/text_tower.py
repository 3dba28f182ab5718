"""A system whose texts begin with the parameters of an installed package, where its vocabulary names one."""

from __future__ import annotations

import logging
from typing import Any

from showtell.datasets.vocabulary import CaptionVocabulary, PretrainedText
from showtell.errors import UsageError

logger = logging.getLogger(__name__)


def build_system(config: Any, vocabulary: CaptionVocabulary, tokenizer: Any) -> Any:
    """The system for a tokenizer that `vocabulary` learnt.

    Raises `UsageError` where the vocabulary is that of a package and the system takes no text tower.
    """
    if not isinstance(vocabulary, PretrainedText):
        return config.with_tokenizer(tokenizer).build()
    if not hasattr(config, "with_text_tower"):
        raise UsageError(f"{type(config).__name__} takes no pretrained text tower")
    encoder = vocabulary.encoder(tokenizer if vocabulary.occurring else None)
    logger.info("the texts' sizes and first parameters are those of %s", vocabulary.package)
    system = config.with_tokenizer(tokenizer).with_text_tower(encoder.config).build()
    system.begin_texts(encoder)
    return system


def text_sources(vocabulary: CaptionVocabulary, state: str) -> tuple[str, ...]:
    """Where the texts' parameters come from, and what became of them, for the model card."""
    if not isinstance(vocabulary, PretrainedText):
        return ()
    return (f"The text tower, {state}: {vocabulary.about}",)
