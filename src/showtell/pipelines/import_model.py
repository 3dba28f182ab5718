"""`showtell import`: pretrained weights, with their words and their way of seeing, as a checkpoint."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, cast

from torch import nn

from showtell.checkpoint.card import BACKBONES
from showtell.checkpoint.save_load import save_checkpoint
from showtell.data.tokenizers.folder import tokenizer_of
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import UserError
from showtell.hub.backbones import efficientnet_lite0
from showtell.hub.huggingface.fetch import find_folder
from showtell.hub.huggingface.folder import import_folder
from showtell.hub.huggingface.preprocessor import read_preprocessor
from showtell.hub.packages import package_path
from showtell.protocols import HasTokenEmbeddings, ImageEncoder
from showtell.systems.efficientnet import EfficientNet, EfficientNetConfig


def import_model(source: str, output: Path | str, *, download: bool = False) -> dict[str, Any]:
    """Write a pretrained model as a checkpoint, which every verb opens.

    `source` is a folder in the Hugging Face layout, a name that a package offers (`all-MiniLM-L6-v2`,
    `efficientnet_lite0`), or the id of a model on the hub, which is fetched with `download` alone.

    Returns where it is, its system and how many weights it has. Raises `UserError` naming the file, setting
    or tensor that is missing, unknown or unfit, `MissingError` for a model that is not on this machine.
    """
    output = Path(output)
    if source == "efficientnet_lite0" and not Path(source).is_dir():
        return _save(_efficientnet(), source, output, preprocess="squash224-v1", about=BACKBONES[source])
    folder = find_folder(source, download=download)
    system = import_folder(folder)
    config: Any = system.config
    words, preprocess = "", ""
    if isinstance(system, HasTokenEmbeddings):
        tokenizer = _tokenizer(system, folder)
        words, config = tokenizer.to_json(), _told(config, tokenizer)
    if isinstance(system, ImageEncoder):
        seen = read_preprocessor(folder)
        preprocess = seen.version
        config = dataclasses.replace(config, mean=seen.mean, std=seen.std)
    cast(Any, system).config = config  # what changed in it builds no module
    card = folder / "README.md"
    about = card.read_text("utf-8", "replace") if card.is_file() else "The folder has no card of its own."
    return _save(system, source, output, words=words, preprocess=preprocess, about=about)


def _tokenizer(system: HasTokenEmbeddings, folder: Path) -> SubwordTokenizer:
    tokenizer, rows = tokenizer_of(folder), len(system.token_embeddings())
    if len(tokenizer) != rows:
        raise UserError(
            f"the tokenizer of {folder} has {len(tokenizer)} tokens, the weights have {rows}: "
            "they are of different models; download the whole folder again"
        )
    return tokenizer


def _told(config: Any, tokenizer: SubwordTokenizer) -> Any:
    """The configuration, told which words are special."""
    if not hasattr(config, "mask_id"):
        return config
    if tokenizer.mask is None:
        raise UserError("the model guesses hidden words, and its tokenizer has no token that hides one")
    return dataclasses.replace(config, mask_id=tokenizer.mask, special=tokenizer.special)


def _efficientnet() -> EfficientNet:
    system = EfficientNet(EfficientNetConfig())
    system.net.load_state_dict(efficientnet_lite0(package_path("efficientnet_lite0")).state_dict())
    return system


def _save(
    system: nn.Module, source: str, output: Path, *, words: str = "", preprocess: str = "", about: str
) -> dict[str, Any]:
    name = Path(source).name
    count = sum(p.numel() for p in system.parameters())
    save_checkpoint(
        output,
        system,
        record={"recipe": name, "imported": source},
        tokenizer_json=words,
        preprocess={"version": preprocess} if preprocess else {},
        card=_card(type(system).__name__, source, count, about),
    )
    return {"model": str(output), "system": type(system).__name__, "weights": count}


def _card(system: str, source: str, count: int, about: str) -> str:
    return f"""# {system}, imported from `{source}`

{count / 1e6:.1f} million weights that others trained: their terms hold. `showtell export` gives them back as
they came. What they say of them follows.

{about}
"""
