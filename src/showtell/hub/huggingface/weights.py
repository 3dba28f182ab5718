"""The tensors of a folder in the Hugging Face layout: one safetensors file, or shards with an index."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from showtell.data.json import read_object
from showtell.errors import UserError

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"


def read_weights(folder: Path) -> tuple[dict[str, Tensor], Path]:
    """All tensors by name, and the file to name in messages.

    Raises `UserError` naming the file that is missing or damaged. Pickles are refused: unpickling runs code.
    """
    if (folder / WHOLE).is_file():
        return _read([folder / WHOLE]), folder / WHOLE
    if (folder / INDEX).is_file():
        return _read_shards(folder / INDEX), folder / INDEX
    if pickles := sorted(path.name for path in folder.glob("pytorch_model*.bin")):
        raise UserError(
            f"{folder} holds {pickles[0]}, a pickle: unpickling runs any code in it. If you trust it, "
            'convert it: python -c "from transformers import AutoModelForPreTraining as M; M.from_pretrained('
            f"'{folder}').save_pretrained('{folder}')\""
        )
    raise UserError(f"{folder} lacks {WHOLE}: give a folder in the Hugging Face layout")


def _read_shards(index: Path) -> dict[str, Tensor]:
    places = read_object(index).get("weight_map")
    # A name with a separator would lead out of the folder.
    if not isinstance(places, dict) or not all(
        isinstance(name, str) and name == Path(name).name and name.endswith(".safetensors")
        for name in places.values()
    ):
        raise UserError(f"{index} has no weight_map of .safetensors files beside it; download it again")
    shards = sorted(set(places.values()))
    if missing := [name for name in shards if not (index.parent / name).is_file()]:
        raise UserError(f"{index.parent} lacks {', '.join(missing)}, which {INDEX} names; download them")
    found = _read(index.parent / name for name in shards)
    if absent := sorted(places.keys() - found.keys()):
        raise UserError(f"{index} names tensors that no file holds: {', '.join(absent)}; download it again")
    return found


def _read(files: Iterable[Path]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for path in files:
        try:
            with safe_open(path, "pt") as file:
                found |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise UserError(f"cannot read {path}: {error}. Download it again.") from error
    return found
