"""A folder in the Hugging Face layout as a system with its tokenizer and its preprocessing."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any, cast

from torch import nn

from showtell.data.json import read_object
from showtell.data.regions.read import VERSION
from showtell.data.tokenizers.folder import tokenizer_of
from showtell.data.tokenizers.load import fits
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import UserError
from showtell.hub.huggingface.chat import read_chat_template
from showtell.hub.huggingface.family import all_families
from showtell.hub.huggingface.folder import import_folder
from showtell.hub.huggingface.preprocessor import Preprocessor, read_preprocessor
from showtell.hub.huggingface.sentence import read_sentence, say_texts
from showtell.hub.pretrained import Pretrained
from showtell.pairing import ImageReader, PairEncoder
from showtell.protocols import HasTokenEmbeddings, ImageEncoder

logger = logging.getLogger(__name__)


def read_pretrained(folder: Path) -> Pretrained:
    """The system of a folder, with its tokenizer and its preprocessing.

    Raises `UserError` naming the file, setting or tensor that is missing, unknown or unfit.
    """
    system = import_folder(folder, lambda config: _with_pixel_norm(config, folder))
    sentence = read_sentence(folder)
    say_texts(sentence)
    texts = dict(sentence.texts)
    tokenizer_json, preprocessing = "", ""
    if isinstance(system, HasTokenEmbeddings):
        tokenizer = fitting_tokenizer(system, sentence.transformer)
        tokenizer_json = tokenizer.to_json()
        template = read_chat_template(sentence.transformer)
        if hasattr(system, "language"):
            texts |= _around_captions(sentence.transformer, tokenizer)
        if isinstance(system, ImageReader):
            template = template or getattr(_family(system), "CHAT", "")
        if template:
            texts["chat_template"] = template
        config: Any = system.config
        cast(Any, system).config = with_special_tokens(config, tokenizer)  # no module depends on them
    if getattr(system, "reads_regions", False):
        preprocessing = VERSION
    elif isinstance(system, ImageEncoder | PairEncoder):
        preprocessing = _preprocessor(system.config, folder).version
    card = folder / "README.md"
    about = card.read_text("utf-8", "replace") if card.is_file() else "The folder has no card of its own."
    return Pretrained(system, tokenizer_json, preprocessing, about, texts)


def _family(system: nn.Module) -> Any:
    return next(family for family in all_families() if type(system) in family.SYSTEMS)


def _around_captions(folder: Path, tokenizer: SubwordTokenizer) -> dict[str, Any]:
    """What stands around captions, as `SubwordTokenizer.reading` takes it.

    Their end may be a token of the text: the published BLIP-2 ends captions by a line break.
    """
    end = (read_object(folder / "config.json").get("text_config") or {}).get("eos_token_id")
    around: dict[str, Any] = {"start_and_end": True}
    if isinstance(end, int) and end != tokenizer.end:
        if not 0 <= end < len(tokenizer):
            raise UserError(
                f"{folder / 'config.json'} ends texts by token {end}, and the tokenizer has "
                f"{len(tokenizer)}; download the whole folder again"
            )
        around["end_token"] = tokenizer.tokens[end]
    return around


def _with_pixel_norm(config: Any, folder: Path) -> Any:
    """The config of an image encoder with its image processor's mean and std; any other as it is."""
    if not hasattr(config, "mean"):
        return config
    preprocessor = _preprocessor(config, folder)
    return dataclasses.replace(config, mean=preprocessor.mean, std=preprocessor.std)


def _preprocessor(config: Any, folder: Path) -> Preprocessor:
    """The preprocessing of a folder; a file that names no image processor means its family's."""
    family: Any = next(f for f in all_families() if type(config) in [cast(Any, c).Config for c in f.SYSTEMS])
    return read_preprocessor(folder, getattr(family, "UNNAMED_PROCESSOR", family.PROCESSOR))


def fitting_tokenizer(system: HasTokenEmbeddings, folder: Path) -> SubwordTokenizer:
    """The tokenizer of a folder. Raises `UserError` where it is not that of the system's embedding."""
    tokenizer, rows = tokenizer_of(folder), len(system.token_embeddings())
    counts = f"the tokenizer of {folder} has {len(tokenizer)} tokens, the embedding has {rows}"
    if not fits(len(tokenizer), rows):
        raise UserError(f"{counts}: they belong to different models; download the whole folder again")
    if unused := rows - len(tokenizer):
        logger.warning("%s: %d rows without a token are kept and never predicted", counts, unused)
    return tokenizer


def with_special_tokens(config: Any, tokenizer: SubwordTokenizer) -> Any:
    """The config of a masked language model with its tokenizer's special tokens; any other as it is."""
    if not hasattr(config, "mask_id"):
        return config
    if tokenizer.mask is None:
        raise UserError("the model predicts masked tokens, and its tokenizer has no mask token")
    return dataclasses.replace(config, mask_id=tokenizer.mask, special=tokenizer.special)
