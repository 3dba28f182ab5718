"""Parts of a system that are not trained, and so are recorded by where they come from instead of copied."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from showtell.checkpoint.config import CONFIG
from showtell.checkpoint.tensors import copy_tensors, named_tensors
from showtell.errors import MissingError, UserError

FindSource = Callable[[str], Mapping[str, Tensor]]
"""Resolves the name of a source to its tensors; raises `MissingError` for one that is not on this machine."""


@dataclass(frozen=True)
class Frozen:
    """A part of a system, and the source whose tensors it holds unchanged."""

    prefix: str
    """Of the tensors' names, such as `text.`."""
    source: str
    """A package, or a checkpoint folder, that holds tensors of these names without the prefix."""
    hash: str
    """SHA-256 of the tensors, as `hash_tensors` computes it."""

    @classmethod
    def of(cls, system: nn.Module, prefix: str, source: str) -> Frozen:
        """The record of a part that has been filled from `source`."""
        return cls(prefix, source, hash_tensors(frozen_part(system, prefix)))


def frozen_part(system: nn.Module, prefix: str) -> dict[str, Tensor]:
    """The tensors under a prefix, named without it."""
    part = {n.removeprefix(prefix): t for n, t in named_tensors(system).items() if n.startswith(prefix)}
    if not part:
        raise ValueError(f"{type(system).__name__} has no tensors under {prefix!r}")
    return part


def hash_tensors(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def require_unchanged(system: nn.Module, frozen: Sequence[Frozen]) -> None:
    """Raises `ValueError` for a part that no longer holds its source's tensors: it would be lost."""
    for part in frozen:
        if hash_tensors(frozen_part(system, part.prefix)) != part.hash:
            raise ValueError(f"{part.prefix!r} is recorded as {part.source}, but its tensors have changed")


def moved_along(source: str, owner: Path) -> str:
    """A source; for a checkpoint folder that is gone, one of its name near `owner`, moved together with it.

    Its hash tells whether it is the one.
    """
    path = Path(source)
    if not path.is_absolute() or path.exists():
        return source
    owner = owner.resolve()
    tails = [Path(*path.parts[-length:]) for length in (3, 2, 1)]
    for found in (above / tail for above in owner.parents for tail in tails):
        if found != owner and any((found / name).is_file() for name in (CONFIG, f"model/{CONFIG}")):
            return str(found)
    return source


def fill_frozen(system: nn.Module, frozen: Sequence[Frozen], find_source: FindSource, owner: Any) -> None:
    """Copy each part of a system from its source.

    Raises `MissingError` naming the source when it is not here, or holds other tensors than it did. `owner`
    is the checkpoint's folder, for the message.
    """
    for part in frozen:
        try:
            tensors = find_source(moved_along(part.source, Path(owner)))
        except MissingError as error:
            raise MissingError(f"{owner} needs the frozen parameters of {part.source}: {error}") from error
        own = frozen_part(system, part.prefix)
        try:
            copy_tensors({name: tensors[name] for name in own.keys() & tensors.keys()}, own, part.source)
            same = hash_tensors(own) == part.hash
        except UserError:  # other names or shapes
            same = False
        if not same:
            raise MissingError(
                f"{owner} was trained with another version of {part.source}, of hash {part.hash[:12]}; "
                "put that version in its place"
            )
