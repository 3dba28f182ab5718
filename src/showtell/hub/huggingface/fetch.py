"""The folder of a pretrained model: on this machine or, only on request, from the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

from showtell.errors import MissingError, UsageError
from showtell.hub.catalogue import all_packages

FILES = (
    "config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "vocab.*",
    "merges.txt",
    "preprocessor_config.json",
    "processor_config.json",
    "modules.json",
    "sentence_*_config.json",
    "config_sentence_transformers.json",
    "[0-9]_*/*.json",
    "[0-9]_*/*.txt",
    "[0-9]_*/model*.safetensors",
    "README.md",
)
PICKLED = ("pytorch_model*.bin", "pytorch_model.bin.index.json", "[0-9]_*/pytorch_model*.bin")
"""Fetched where there are no safetensors."""


def find_folder(source: str, *, download: bool = False) -> Path:
    """The folder of `source`: itself, or an id on the hub, `org/name` or an old `name`, from the hub's cache.

    A model that is not in the cache is fetched only with `download`.

    Raises `MissingError` naming a model that is not here, `UsageError` for what is neither folder nor id.
    """
    if (folder := Path(source)).is_dir():
        return folder
    if folder.exists():
        raise UsageError(f"{source} is a file; give the folder that holds it")
    neither = (
        f"{source} is no folder, no id on the Hugging Face hub such as openai/clip-vit-base-patch32, and "
        f"no model of a package: {', '.join(package.name for package in all_packages())}"
    )
    if not re.fullmatch(r"([\w-][\w.-]*/)?[\w-][\w.-]*", source, re.ASCII):
        raise UsageError(neither)
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingError(
            f"{source} is no folder; to fetch it from the Hugging Face hub: pip install huggingface_hub"
        ) from error
    try:
        for patterns in (FILES, (*FILES, *PICKLED)):
            found = Path(snapshot_download(source, allow_patterns=[*patterns], local_files_only=not download))
            if any(found.glob("*.safetensors")) and not _lacks_layers(found):
                break
    except Exception as error:  # from the library, the network or a proxy
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        if download:
            raise MissingError(f"{source} cannot be fetched from the Hugging Face hub: {reason}") from error
        if "/" not in source:  # an old id such as gpt2, or a misspelt name
            raise UsageError(f"{neither}; where it is an old id on the hub, --download fetches it") from error
        found = None
    places = [] if found is None else [found, *found.glob("0_*")]
    weights = [place for place in places if any(place.glob("*.safetensors")) or any(place.glob(PICKLED[0]))]
    if found is None or not any((place / "config.json").is_file() for place in weights):
        lacking = "" if found is None else f", but for {', '.join(sorted(p.name for p in found.iterdir()))}"
        raise MissingError(
            f"the model {source} is not on this machine{lacking}; "
            "--download fetches it from the Hugging Face hub"
        )
    return found


def _lacks_layers(folder: Path) -> bool:
    """Whether a Dense layer of a sentence encoder has no safetensors."""
    return any(not any(layer.glob("*.safetensors")) for layer in folder.glob("[0-9]_Dense*"))
