"""Configs that take a size over from the data: of a vocabulary, or of the features of a frozen encoder."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import replace
from typing import Any, TypeVar, cast

Config = TypeVar("Config")


class FitsTokenizer:
    """A config with a `vocab_size`."""

    def with_tokenizer(self: Config, tokenizer: Sized) -> Config:
        """With the vocabulary size of `tokenizer`."""
        return replace(cast(Any, self), vocab_size=len(tokenizer))


class FitsMasks(FitsTokenizer):
    """A config with a `vocab_size`, a `mask_id` and the `special` tokens, which are never masked."""

    def with_tokenizer(self: Config, tokenizer: Any) -> Config:
        """With the vocabulary size and special tokens of `tokenizer`, which has a mask token."""
        assert tokenizer.mask is not None
        own = {"vocab_size": len(tokenizer), "mask_id": tokenizer.mask, "special": tokenizer.special}
        return replace(cast(Any, self), **own)


class FitsFeatures:
    """A config with a `feature_width`."""

    def with_feature_width(self: Config, width: int) -> Config:
        """For images that are read as the features of a frozen encoder, or of regions, of this width."""
        return replace(cast(Any, self), feature_width=width)
