"""Where pretrained parameters come from, by name: packages, folders, the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from showtell.checkpoint.load import load_checkpoint
from showtell.checkpoint.tensors import named_tensors
from showtell.errors import MissingError
from showtell.hub.catalogue import find
from showtell.hub.huggingface.fetch import find_folder
from showtell.hub.huggingface.pretrained import read_pretrained
from showtell.hub.pretrained import Pretrained


def load_pretrained(source: str, *, download: bool = False) -> Pretrained:
    """Read a folder in the Hugging Face layout, a package's model by name, or an id on the Hugging Face hub.

    A folder comes before a package of the same name.

    Raises `UserError` naming the file, setting or tensor that is missing, unknown or unfit, `MissingError`
    for a model that is not on this machine, `UsageError` for what is none of the three.
    """
    if not Path(source).is_dir() and (package := find(source)):
        return package.load()
    return read_pretrained(find_folder(source, download=download))


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
