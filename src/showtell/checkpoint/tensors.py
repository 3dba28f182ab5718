"""The tensors of a system in a safetensors file, and errors that name what does not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from showtell.errors import UserError
from showtell.wording import listed


def named_tensors(system: nn.Module, without: Sequence[str] = ()) -> dict[str, Tensor]:
    """Parameters and buffers by name; one that is shared between two names appears under the first.

    Left out are names in `without` and names under a prefix in it, which ends with a dot.
    """
    names: dict[int, tuple[str, Tensor]] = {}
    for name, tensor in system.state_dict(keep_vars=True).items():
        if not any(name.startswith(left) if left.endswith(".") else name == left for left in without):
            names.setdefault(id(tensor), (name, tensor.detach()))
    return dict(names.values())


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file: the same bytes for the same tensors, with the permissions of the umask."""
    path.touch()
    mode = path.stat().st_mode
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    path.chmod(mode)  # the library renames a temporary file that only its owner may read


def read_tensors(path: Path, into: Mapping[str, Tensor]) -> None:
    """Copy a safetensors file into tensors of the same names and shapes, converting their type.

    Raises `UserError` that names missing, unknown and misshapen tensors; nothing is copied then.
    """
    copy_tensors(load_tensors(path), into, path)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises `UserError` with the name of one that cannot be read."""
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot read {path}: {error}. Copy or download it again.") from error


@torch.no_grad()
def copy_tensors(found: Mapping[str, Tensor], into: Mapping[str, Tensor], source: Path | str) -> None:
    """Copy tensors into others of the same names and shapes, converting their type.

    Raises `UserError` as `read_tensors` does, naming `source`.
    """
    faults = [f"{name} is missing" for name in into.keys() - found.keys()]
    faults += [f"{name} is unknown" for name in found.keys() - into.keys()]
    faults += [
        f"{name} is {list(found[name].shape)} instead of {list(into[name].shape)}"
        for name in into.keys() & found.keys()
        if found[name].shape != into[name].shape
    ]
    if faults:
        raise UserError(
            f"{source} does not fit its system: {listed(sorted(faults))}. Its files come from "
            "different models or versions; copy or download the whole folder again."
        )
    for name, tensor in into.items():
        tensor.copy_(found[name])


def has_nonfinite(tensor: Tensor) -> bool:
    """Whether a tensor holds NaN or infinity."""
    if not tensor.is_floating_point() or tensor.sum().isfinite():
        return False
    return not bool(tensor.isfinite().all())  # a sum of finite values may overflow


def refuse_nonfinite(tensors: Mapping[str, Tensor], source: Path | str) -> None:
    """Raises `UserError` that names the tensors with NaN or infinite values."""
    if broken := sorted(name for name, tensor in tensors.items() if has_nonfinite(tensor)):
        raise UserError(
            f"{source} holds NaN or infinite values in {listed(broken)}: its training diverged, or the file "
            "is damaged; use another checkpoint"
        )
