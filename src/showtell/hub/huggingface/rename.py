"""Rename tables between our tensors and another library's, read in both directions."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from showtell.checkpoint.tensors import has_nonfinite
from showtell.errors import UserError
from showtell.wording import listed

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rename:
    """One row of a table: a tensor of ours and where it is stored there."""

    ours: str
    theirs: tuple[str, ...]
    """Several are concatenated along the first axis in ours: query, key and value."""
    transposed: bool = False
    shape: tuple[int, ...] | None = None
    """Their shape, where it differs by more than a transposition; -1 stands for the rest."""
    rows: tuple[int, ...] | None = None
    """The rows of each of several, where they are not equally many."""

    def read(self, found: Mapping[str, Tensor]) -> Tensor:
        """Our tensor from theirs."""
        parts = [found[name] for name in self.theirs]
        tensor = torch.cat(parts) if len(parts) > 1 else parts[0]
        return tensor.T.contiguous() if self.transposed else tensor

    def write(self, tensor: Tensor) -> dict[str, Tensor]:
        """Their tensors from ours."""
        tensor = tensor.T if self.transposed else tensor
        tensor = tensor if self.shape is None else tensor.reshape(self.shape)
        parts: Sequence[Tensor] = [tensor]
        if len(self.theirs) > 1:
            parts = tensor.chunk(len(self.theirs)) if self.rows is None else tensor.split(self.rows)
        return {name: part.contiguous().clone() for name, part in zip(self.theirs, parts, strict=True)}


def rename(
    ours: str, *theirs: str, shape: tuple[int, ...] | None = None, rows: tuple[int, ...] | None = None
) -> Rename:
    """A row of one tensor."""
    return Rename(ours, theirs, shape=shape, rows=rows)


def linear(ours: str, *theirs: str, transposed: bool = False) -> list[Rename]:
    """The rows of a linear layer or norm; several of theirs may be fused in ours."""
    return [
        Rename(f"{ours}.{kind}", tuple(f"{t}.{kind}" for t in theirs), transposed and kind == "weight")
        for kind in ("weight", "bias")
    ]


@torch.no_grad()
def read_in(
    found: Mapping[str, Tensor],
    into: Mapping[str, Tensor],
    table: Iterable[Rename],
    file: str,
    what: str = "its config.json",
) -> None:
    """Copy all of their tensors into all of ours; a head that we do not have is named in a warning.

    A head is what lies beside the modules of the table, such as `classifier` beside `bert`. `what` is what
    the sizes of ours were read from.

    Raises `UserError` that names missing, unknown, misshapen and non-finite tensors; then nothing is copied.
    """
    rules = {rule.ours: rule for rule in table}
    assert rules.keys() == into.keys(), rules.keys() ^ into.keys()
    wanted = {name for rule in rules.values() for name in rule.theirs}
    modules = {name.split(".")[0] for name in wanted}
    heads = {name for name in found.keys() - wanted if name.split(".")[0] not in modules}
    faults = [f"{name} is missing" for name in wanted - found.keys()]
    faults += [f"{name} is unknown" for name in found.keys() - wanted - heads]
    converted = {}
    for name, rule in rules.items():
        if any(n not in found for n in rule.theirs):
            continue
        theirs = rule.write(into[name])
        wrong = [f"{n} {unfit}" for n in rule.theirs if (unfit := _unfit(found[n], theirs[n]))]
        faults += wrong
        if not wrong:
            converted[name] = rule.read(found)
    if faults:
        faults += [f"{name} is unknown" for name in heads]
        raise UserError(
            f"{file} does not fit {what}: {listed(sorted(faults), sep='; ')}. "
            "Its files come from different models, or are damaged; download the whole folder again."
        )
    if heads:
        logger.warning("%s: not imported, since showtell has no such head: %s", file, listed(sorted(heads)))
    for name, tensor in converted.items():
        into[name].copy_(tensor.reshape(into[name].shape))


def _unfit(theirs: Tensor, wanted: Tensor) -> str:
    """Why their tensor cannot be read into `wanted`, empty if it can."""
    if theirs.shape != wanted.shape:
        return f"is {list(theirs.shape)} instead of {list(wanted.shape)}"
    plain = theirs.device.type == "cpu" and theirs.layout == torch.strided and not theirs.is_quantized
    if not plain or theirs.is_floating_point() != wanted.is_floating_point():
        return f"is quantised, sparse or empty ({theirs.dtype}) instead of {wanted.dtype}"
    return "holds NaN or infinite values" if has_nonfinite(theirs.to(wanted.dtype)) else ""


def write_out(ours: Mapping[str, Tensor], table: Iterable[Rename]) -> dict[str, Tensor]:
    """Our tensors under their names."""
    out: dict[str, Tensor] = {}
    for rule in table:
        out |= rule.write(ours[rule.ours])
    return out
