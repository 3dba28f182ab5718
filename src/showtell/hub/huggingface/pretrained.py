"""A folder in the Hugging Face layout as a system with its tokenizer and its preprocessing."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, cast

from showtell.data.tokenizers.folder import tokenizer_of
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import UserError
from showtell.hub.huggingface.folder import import_folder
from showtell.hub.huggingface.preprocessor import read_preprocessor
from showtell.hub.pretrained import Pretrained
from showtell.protocols import HasTokenEmbeddings, ImageEncoder


def read_pretrained(folder: Path) -> Pretrained:
    """The system of a folder, with its tokenizer and its preprocessing.

    Raises `UserError` naming the file, setting or tensor that is missing, unknown or unfit.
    """
    system = import_folder(folder, lambda config: _with_pixel_norm(config, folder))
    tokenizer_json, preprocessing = "", ""
    if isinstance(system, HasTokenEmbeddings):
        tokenizer = _tokenizer(system, folder)
        tokenizer_json = tokenizer.to_json()
        config: Any = system.config
        cast(Any, system).config = _with_special_tokens(config, tokenizer)  # no module depends on them
    if isinstance(system, ImageEncoder):
        preprocessing = read_preprocessor(folder).version
    card = folder / "README.md"
    about = card.read_text("utf-8", "replace") if card.is_file() else "The folder has no card of its own."
    return Pretrained(system, tokenizer_json, preprocessing, about)


def _with_pixel_norm(config: Any, folder: Path) -> Any:
    """The config of an image encoder with its image processor's mean and std; any other as it is."""
    if not hasattr(config, "mean"):
        return config
    preprocessor = read_preprocessor(folder)
    return dataclasses.replace(config, mean=preprocessor.mean, std=preprocessor.std)


def _tokenizer(system: HasTokenEmbeddings, folder: Path) -> SubwordTokenizer:
    tokenizer, rows = tokenizer_of(folder), len(system.token_embeddings())
    if len(tokenizer) != rows:
        raise UserError(
            f"the tokenizer of {folder} has {len(tokenizer)} tokens, the embedding has {rows}: "
            "they belong to different models; download the whole folder again"
        )
    return tokenizer


def _with_special_tokens(config: Any, tokenizer: SubwordTokenizer) -> Any:
    """The config of a masked language model with its tokenizer's special tokens; any other as it is."""
    if not hasattr(config, "mask_id"):
        return config
    if tokenizer.mask is None:
        raise UserError("the model predicts masked tokens, and its tokenizer has no mask token")
    return dataclasses.replace(config, mask_id=tokenizer.mask, special=tokenizer.special)
