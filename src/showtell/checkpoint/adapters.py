"""Adapters: the low-rank layers that a training added to a checkpoint, as a small folder of their own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from showtell.checkpoint.config import CARD, FORMAT, parse, require_format
from showtell.checkpoint.frozen import Frozen, moved_along, require_unchanged
from showtell.checkpoint.load import Checkpoint
from showtell.checkpoint.tensors import named_tensors, read_tensors, refuse_nonfinite, write_tensors
from showtell.data.json import read_object
from showtell.errors import MissingError, UserError
from showtell.nn.lora import add_lora, lora_layers, lora_tensors, merge_lora
from showtell.version import __version__
from showtell.writing import replace_folder, standing, write_json

ADAPTER, TENSORS = "adapter.json", "adapter.safetensors"


@dataclass(frozen=True)
class _Adapter:
    """`adapter.json`."""

    base: str
    """The checkpoint folder that it adapts, or the name of a package's model."""
    base_hash: str
    system: str
    """The class of the base."""
    layers: tuple[str, ...]
    rank: int
    alpha: float
    record: dict[str, Any]
    format: int = FORMAT
    showtell: str = __version__


def base_parts(system: nn.Module, base: Checkpoint) -> tuple[Frozen, ...]:
    """Each tensor of a system that `add_lora` froze, recorded as one of `base`."""
    trained = {name for name, parameter in system.named_parameters() if parameter.requires_grad}
    source = _source(base)
    return tuple(Frozen.of(system, name, source) for name in named_tensors(system) if name not in trained)


def save_adapter(
    folder: Path,
    system: nn.Module,
    base: Checkpoint,
    record: Mapping[str, Any],
    *,
    card: str = "",
    frozen: Sequence[Frozen] = (),
) -> None:
    """Write the low-rank layers that `add_lora` gave to the system of `base`, and the hash of that base.

    Raises `UserError` when the folder cannot be written, `UsageError` when it holds something else,
    `ValueError` for a system without such layers, and when one of the `frozen` tensors has changed.
    """
    require_unchanged(system, frozen)
    layers = lora_layers(system)
    if not layers:
        raise ValueError(f"{type(system).__name__} has no low-rank layers to save")
    first = next(iter(layers.values()))
    adapter = _Adapter(
        base=_source(base),
        base_hash=base.hash,
        system=type(system).__name__,
        layers=tuple(layers),
        rank=first.rank,
        alpha=first.alpha,
        record=dict(record),
    )

    def write(temporary: Path) -> None:
        write_tensors(temporary / TENSORS, lora_tensors(system))
        write_json(temporary / ADAPTER, asdict(adapter))
        if card:
            (temporary / CARD).write_text(card, "utf-8")

    replace_folder(Path(folder), write, marker=ADAPTER)


def adapter_in(folder: Path) -> Path | None:
    """The folder of an adapter: this one, or `model/` of a training run; None where there is none."""
    tried = (standing(folder), standing(standing(folder) / "model"))
    return next((one for one in tried if (one / ADAPTER).is_file()), None)


def base_of(folder: Path) -> str:
    """The base that the adapter in `folder`, or in `model/` of a run, names.

    Raises `UserError` where there is no adapter, and for damaged files.
    """
    folder = _found(folder)
    return moved_along(_read(folder).base, folder)


def load_adapter(folder: Path, base: Checkpoint) -> dict[str, Any]:
    """Add the adapter in `folder`, or in `model/` of a run, to the system of `base`, in place.

    Returns its record. Raises `MissingError` naming its base when `base` is another one, `UserError` for
    damaged files.
    """
    folder = _found(folder)
    adapter = _read(folder)
    if adapter.base_hash != base.hash:
        raise MissingError(
            f"{folder} adapts {adapter.base} (hash {adapter.base_hash[:12]}), not {base.folder} "
            f"(hash {base.hash[:12]}); load it with its own base"
        )
    try:
        add_lora(base.system, adapter.layers, adapter.rank, adapter.alpha)
    except ValueError as error:
        raise UserError(f"{folder / ADAPTER}: {error}; copy the adapter again") from error
    tensors = lora_tensors(base.system)
    read_tensors(folder / TENSORS, tensors)
    refuse_nonfinite(tensors, folder / TENSORS)
    base.system.eval()
    return adapter.record


def adapted(folder: Path, base: Checkpoint) -> Checkpoint:
    """A base with an adapter added into its matrices: a checkpoint with a hash of its own.

    The system of `base` itself is changed. Raises as `load_adapter`.
    """
    folder = _found(folder)
    record = load_adapter(folder, base)
    merge_lora(base.system)
    adapter = _read(folder)
    digest = hashlib.sha256(json.dumps([base.hash, adapter.layers, adapter.rank, adapter.alpha]).encode())
    digest.update((folder / TENSORS).read_bytes())
    return replace(base, record=record, hash=digest.hexdigest())


def _found(folder: Path) -> Path:
    """Raises `UserError` where there is no adapter."""
    if (found := adapter_in(Path(folder))) is None:
        raise UserError(f"there is no adapter in {folder}: give the folder that holds {ADAPTER}")
    return found


def _read(folder: Path) -> _Adapter:
    file = folder / ADAPTER
    values = read_object(file)
    require_format(values, file)
    adapter: _Adapter = parse(_Adapter, values, file, "the adapter")
    return adapter


def _source(base: Checkpoint) -> str:
    """Where the base is found again: a folder, or the name of a package's model."""
    return str(base.folder.resolve() if base.folder.exists() else base.folder)
