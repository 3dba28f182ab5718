"""Where pretrained parameters come from, by name: packages, folders, the Hugging Face hub."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from showtell.checkpoint.load import load_checkpoint
from showtell.checkpoint.tensors import named_tensors
from showtell.errors import MissingError
from showtell.hub.albef import read_albef
from showtell.hub.catalogue import find
from showtell.hub.huggingface.fetch import find_folder
from showtell.hub.huggingface.pretrained import read_pretrained
from showtell.hub.pretrained import Pretrained


def load_pretrained(source: str, *, download: bool = False) -> Pretrained:
    """Read a folder in the Hugging Face layout, a package's model by name, an id on the Hugging Face hub, or
    ALBEF's published `.pth`.

    A folder comes before a package of the same name.

    Raises `UserError` naming the file, setting or tensor that is missing, unknown or unfit, `MissingError`
    for a model that is not on this machine, `UsageError` for what is none of these.
    """
    if (path := Path(source)).suffix == ".pth" and path.is_file():
        return read_albef(path)
    if not Path(source).is_dir() and (package := find(source)):
        return package.load()
    return read_pretrained(find_folder(source, download=download))


@dataclass
class Sources:
    """The sources of one checkpoint, each read once, while it is loaded."""

    _read: dict[str, Pretrained] = field(default_factory=dict)

    def tensors(self, source: str) -> dict[str, Tensor]:
        """As `frozen_tensors`."""
        return named_tensors(self._package(source).system) if find(source) else frozen_tensors(source)

    def tokenizer_json(self, preprocess: Mapping[str, Any]) -> str:
        """The tokenizer that a checkpoint's `preprocess.json` records by source and hash; empty for none.

        Raises `MissingError` with the source's name when it is not here, or not what it was.
        """
        if not (recorded := preprocess.get("tokenizer")):
            return ""
        json = self._package(recorded["source"]).tokenizer_json
        if hash_text(json) != recorded["hash"]:
            raise MissingError(
                f"the tokenizer of {recorded['source']} is not the one that the model was trained with: "
                "install the version that its README.md names"
            )
        return json

    def _package(self, source: str) -> Pretrained:
        if source not in self._read:
            self._read[source] = load_pretrained(source)
        return self._read[source]


def recorded_tokenizer(source: str, json: str) -> dict[str, Any]:
    """What a `preprocess.json` says of the tokenizer of a frozen text encoder, instead of a copy of it."""
    return {"source": source, "hash": hash_text(json)}


def hash_text(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def frozen_tensors(source: str) -> dict[str, Tensor]:
    """The tensors of a package's model or of a checkpoint folder, under the names of its system.

    A name that a package offers is the package's, whatever folders there are.

    Raises `MissingError` with the source's name when it is not on this machine.
    """
    if package := find(source):
        return named_tensors(package.load().system)
    if not Path(source).is_dir():
        raise MissingError(f"there is no checkpoint folder {source}, nor a package of that name")
    return named_tensors(load_checkpoint(Path(source), find_source=frozen_tensors).system)
