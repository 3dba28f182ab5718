"""Adapters: the low-rank layers that a training added to a checkpoint, as a small folder of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import nn

from showtell.checkpoint.config import FORMAT, parse, require_format
from showtell.checkpoint.load import Checkpoint
from showtell.checkpoint.tensors import read_tensors, write_tensors
from showtell.data.json import read_object
from showtell.errors import MissingError
from showtell.nn.lora import add_lora, lora_layers, lora_tensors
from showtell.version import __version__
from showtell.writing import replace_folder, standing, write_json

ADAPTER, TENSORS = "adapter.json", "adapter.safetensors"


@dataclass(frozen=True)
class _Adapter:
    """`adapter.json`."""

    base: str
    """The checkpoint folder that it adapts."""
    base_hash: str
    layers: tuple[str, ...]
    rank: int
    alpha: float
    record: dict[str, Any]
    format: int = FORMAT
    showtell: str = __version__


def save_adapter(folder: Path, system: nn.Module, base: Checkpoint, record: Mapping[str, Any]) -> None:
    """Write the low-rank layers that `add_lora` gave to the system of `base`, and the hash of that base.

    Raises `UserError` when the folder cannot be written, `UsageError` when it holds something else,
    `ValueError` for a system without such layers.
    """
    layers = lora_layers(system)
    if not layers:
        raise ValueError(f"{type(system).__name__} has no low-rank layers to save")
    first = next(iter(layers.values()))
    adapter = _Adapter(str(base.folder), base.hash, tuple(layers), first.rank, first.alpha, dict(record))

    def write(temporary: Path) -> None:
        write_tensors(temporary / TENSORS, lora_tensors(system))
        write_json(temporary / ADAPTER, asdict(adapter))

    replace_folder(Path(folder), write, marker=ADAPTER)


def load_adapter(folder: Path, base: Checkpoint) -> dict[str, Any]:
    """Add the adapter in `folder` to the system of `base`, in place; return its record.

    Raises `MissingError` naming its base when `base` is another one, `UserError` for damaged files.
    """
    folder = standing(Path(folder))
    file = folder / ADAPTER
    values = read_object(file)
    require_format(values, file)
    adapter: _Adapter = parse(_Adapter, values, file, "the adapter")
    if adapter.base_hash != base.hash:
        raise MissingError(
            f"{folder} adapts {adapter.base} (hash {adapter.base_hash[:12]}), not {base.folder} "
            f"(hash {base.hash[:12]}); load it with its own base"
        )
    add_lora(base.system, adapter.layers, adapter.rank, adapter.alpha)
    read_tensors(folder / TENSORS, lora_tensors(base.system))
    base.system.eval()
    return adapter.record
