"""Adapters: what a low-rank training adds to a checkpoint, as a small folder beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from showtell.checkpoint.config import FORMAT
from showtell.checkpoint.load import Checkpoint
from showtell.checkpoint.tensors import read_tensors, write_tensors
from showtell.data.json import read_object
from showtell.errors import MissingError, UserError
from showtell.nn.lora import add_lora, lora_layers, lora_tensors
from showtell.version import __version__
from showtell.writing import replace_folder, write_json

ADAPTER, TENSORS = "adapter.json", "adapter.safetensors"


def save_adapter(folder: Path, system: nn.Module, base: Checkpoint, record: Mapping[str, Any]) -> None:
    """Write the low-rank layers that `add_lora` gave to the system of `base`, and which base that was.

    Raises `UserError` when the folder cannot be written, `UsageError` when it holds something else,
    `ValueError` for a system without such layers.
    """
    layers = lora_layers(system)
    if not layers:
        raise ValueError(f"{type(system).__name__} has no low-rank layers to save")
    first = next(iter(layers.values()))
    adapter = {
        "format": FORMAT,
        "base": {"source": str(base.folder), "hash": base.hash},
        "layers": list(layers),
        "rank": first.rank,
        "alpha": first.alpha,
        "versions": {"showtell": __version__},
        "record": dict(record),
    }

    def write(temporary: Path) -> None:
        write_tensors(temporary / TENSORS, lora_tensors(system))
        write_json(temporary / ADAPTER, adapter)

    replace_folder(Path(folder), write, marker=ADAPTER)


def load_adapter(folder: Path, base: Checkpoint) -> dict[str, Any]:
    """Add the adapter in `folder` to the system of `base`, in place; return its record.

    Raises `MissingError` naming the base when it is another one, `UserError` for damaged files.
    """
    file = Path(folder) / ADAPTER
    adapter = read_object(file)
    if adapter.get("format") != FORMAT:
        raise UserError(f"{file} has format {adapter.get('format')!r}, not {FORMAT}; upgrade showtell")
    try:
        wanted, layers, rank, alpha = (
            adapter["base"],
            list(adapter["layers"]),
            int(adapter["rank"]),
            float(adapter["alpha"]),
        )
        source, hash = wanted["source"], wanted["hash"]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{file} does not describe an adapter: {error!r}. Copy it again.") from error
    if hash != base.hash:
        raise MissingError(
            f"{folder} adapts {source} (hash {hash[:12]}), not {base.folder} (hash {base.hash[:12]}); "
            "load it on its own base"
        )
    add_lora(base.system, layers, rank, alpha)
    read_tensors(Path(folder) / TENSORS, lora_tensors(base.system))
    base.system.eval()
    return dict(adapter.get("record", {}))
