"""Rename tables between our tensors and another library's, read in both directions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from showtell.errors import UserError


@dataclass(frozen=True)
class Rename:
    """One row of a table: a tensor of ours and where it is stored there."""

    ours: str
    theirs: tuple[str, ...]
    """Several are concatenated along the first axis in ours: query, key and value."""
    transposed: bool = False
    shape: tuple[int, ...] | None = None
    """Their shape, where it differs by more than a transposition; -1 stands for the rest."""

    def read(self, found: Mapping[str, Tensor]) -> Tensor:
        """Our tensor from theirs."""
        parts = [found[name] for name in self.theirs]
        tensor = torch.cat(parts) if len(parts) > 1 else parts[0]
        return tensor.T.contiguous() if self.transposed else tensor

    def write(self, tensor: Tensor) -> dict[str, Tensor]:
        """Their tensors from ours."""
        tensor = tensor.T if self.transposed else tensor
        tensor = tensor if self.shape is None else tensor.reshape(self.shape)
        parts = tensor.chunk(len(self.theirs)) if len(self.theirs) > 1 else (tensor,)
        return {name: part.contiguous().clone() for name, part in zip(self.theirs, parts, strict=True)}


def rename(ours: str, *theirs: str, shape: tuple[int, ...] | None = None) -> Rename:
    """A row of one tensor."""
    return Rename(ours, theirs, shape=shape)


def linear(ours: str, *theirs: str, transposed: bool = False) -> list[Rename]:
    """The rows of a linear layer or norm; several of theirs may be fused in ours."""
    return [
        Rename(f"{ours}.{kind}", tuple(f"{t}.{kind}" for t in theirs), transposed and kind == "weight")
        for kind in ("weight", "bias")
    ]


@torch.no_grad()
def read_in(
    found: Mapping[str, Tensor], into: Mapping[str, Tensor], table: Iterable[Rename], file: str
) -> None:
    """Copy all of their tensors into all of ours.

    Raises `UserError` that names each missing, unknown and misshapen tensor; then nothing is copied.
    """
    rules = {rule.ours: rule for rule in table}
    assert rules.keys() == into.keys(), rules.keys() ^ into.keys()
    wanted = {name for rule in rules.values() for name in rule.theirs}
    faults = [f"{name} is missing" for name in wanted - found.keys()]
    faults += [f"{name} is unknown" for name in found.keys() - wanted]
    converted = {}
    for name, rule in rules.items():
        if any(n not in found for n in rule.theirs):
            continue
        theirs = rule.write(into[name])
        wrong = [n for n in rule.theirs if found[n].shape != theirs[n].shape]
        faults += [f"{n} is {list(found[n].shape)} instead of {list(theirs[n].shape)}" for n in wrong]
        if not wrong:
            converted[name] = rule.read(found)
    if faults:
        raise UserError(
            f"{file} does not fit its config.json: {'; '.join(sorted(faults))}. "
            "Its files come from different models; download the whole folder again."
        )
    for name, tensor in converted.items():
        into[name].copy_(tensor.reshape(into[name].shape))


def write_out(ours: Mapping[str, Tensor], table: Iterable[Rename]) -> dict[str, Tensor]:
    """Our tensors under their names."""
    out: dict[str, Tensor] = {}
    for rule in table:
        out |= rule.write(ours[rule.ours])
    return out
