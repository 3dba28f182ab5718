"""The tensors of a folder in the Hugging Face layout: one file, or shards with an index."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from showtell.data.json import read_object
from showtell.errors import UserError
from showtell.hub.huggingface.pickled import read_pickled
from showtell.wording import listed

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED = "pytorch_model.bin"
PLACES = (WHOLE, INDEX, PICKLED, f"{PICKLED}.index.json")
"""Where tensors are looked for, in this order."""
FOREIGN = ("*.h5", "*.msgpack", "*.ckpt*", "*.gguf", "*.onnx", "*.pt", "*.pth", "*.bin", "*.safetensors")


def read_weights(folder: Path) -> tuple[dict[str, Tensor], Path]:
    """All tensors by name, and the file to name in messages.

    Raises `UserError` naming the file that is missing, damaged or refused.
    """
    for path in (folder / name for name in PLACES):
        if path.is_file():
            return (_read_shards(path) if path.suffix == ".json" else _read(path)), path
    there = sorted(path.name for pattern in FOREIGN for path in folder.glob(pattern))
    but = f"; {listed(there)} cannot be read" if there else ""
    raise UserError(f"{folder} lacks {WHOLE} and {PICKLED}{but}: give a folder in the Hugging Face layout")


def _read_shards(index: Path) -> dict[str, Tensor]:
    ending = ".safetensors" if index.name == INDEX else ".bin"
    places = read_object(index).get("weight_map")
    # A name with a separator would lead out of the folder.
    if not isinstance(places, dict) or not all(
        isinstance(name, str) and name == Path(name).name and name.endswith(ending)
        for name in places.values()
    ):
        raise UserError(f"{index} has no weight_map of {ending} files beside it; download it again")
    shards = sorted(set(places.values()))
    if missing := [name for name in shards if not (index.parent / name).is_file()]:
        raise UserError(f"{index.parent} lacks {listed(missing)}, which {index.name} names; download them")
    found: dict[str, Tensor] = {}
    for name in shards:
        found |= _read(index.parent / name)
    if absent := sorted(places.keys() - found.keys()):
        raise UserError(f"{index} names tensors that no file holds: {listed(absent)}; download it again")
    return found


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".bin":
        return read_pickled(path)
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot read {path}: {error}. Download it again.") from error
