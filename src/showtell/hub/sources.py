"""Where the frozen parts of a checkpoint come from: packages and other checkpoints."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from showtell.checkpoint.load import load_checkpoint
from showtell.checkpoint.tensors import named_tensors
from showtell.errors import MissingError
from showtell.hub.catalogue import find


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
