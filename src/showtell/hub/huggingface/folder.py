"""Models in and out of folders in the Hugging Face layout: `config.json` and `model.safetensors`."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, cast

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from showtell.errors import UsageError, UserError
from showtell.hub.huggingface import families
from showtell.hub.huggingface.rename import Rename, read_in, write_out


class Family(Protocol):
    """What a module of `families` offers; its name is the reference's `model_type`."""

    SYSTEM: type[nn.Module]

    def config_from(self, theirs: Mapping[str, Any], names: set[str]) -> Any:
        """Our configuration from their `config.json` and the names of their tensors."""
        ...

    def config_to(self, ours: Any) -> dict[str, Any]:
        """Their `config.json` from our configuration."""
        ...

    def table(self, ours: Any) -> list[Rename]:
        """Every tensor of ours and its names there."""
        ...

    def tidy(self, found: dict[str, Tensor]) -> dict[str, Tensor]:
        """Their tensors under the names of `table`: without copies of tied weights and old prefixes."""
        ...


def import_folder(folder: Path | str) -> nn.Module:
    """One of our systems with the weights of a folder that `transformers` wrote, every tensor used once.

    Raises `UserError` naming the file, setting or tensor that is missing, unknown, unfit or damaged.
    """
    folder = Path(folder)
    described, weights = folder / "config.json", folder / "model.safetensors"
    if missing := [path.name for path in (described, weights) if not path.is_file()]:
        raise UserError(f"{folder} lacks {' and '.join(missing)}: give a folder in the Hugging Face layout")
    try:
        theirs = json.loads(described.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {described}: {error}. Download it again.") from error
    if not isinstance(theirs, dict):
        raise UserError(f"{described} holds no object; download it again")
    family = _family(theirs.get("model_type"), described)
    try:
        with safe_open(weights, "pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot read {weights}: {error}. Download it again.") from error
    found = family.tidy(found)
    try:
        config = family.config_from(theirs, set(found))
        system = family.SYSTEM(config)
    except KeyError as error:
        raise UserError(f"{described} lacks {error}; download it again") from error
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{described} describes no model that can be built: {error}") from error
    read_in(found, system.state_dict(), family.table(config), str(weights))
    return system.eval()


def export_folder(system: nn.Module, folder: Path | str) -> None:
    """Write a system so that `from_pretrained` of `transformers` reads it.

    Other files of the folder stay. Killed at any moment, it holds the older model, the newer one, or none:
    never the settings of one with the weights of another.

    Raises `UsageError` when the reference has no such model, `UserError` when the folder cannot be written.
    """
    folder = Path(folder)
    family = _family_of(system)
    config = cast(Any, system.config)
    tensors = write_out(system.state_dict(), family.table(config))
    text = json.dumps(family.config_to(config), indent=2, ensure_ascii=False)
    weights, described = folder / "model.safetensors", folder / "config.json"
    written = {path: path.with_name(f".{path.name}.writing") for path in (weights, described)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(written[weights], save(tensors, metadata={"format": "pt"}))
        _write(written[described], (text + "\n").encode())
        described.unlink(missing_ok=True)
        for path, new in written.items():
            new.replace(path)
    except OSError as error:
        for new in written.values():
            with suppress(OSError):
                new.unlink()
        reason = error.strerror or error
        raise UserError(f"cannot write {folder}: {reason}; free space there or name another") from error


def _write(path: Path, content: bytes) -> None:
    """Onto the disk, so that a rename does not outrun what it names."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _names() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(families.__path__)]


def _load(name: str) -> Family:
    return cast(Family, importlib.import_module(f"{families.__name__}.{name}"))


def _family(name: Any, file: Path) -> Family:
    if name not in _names():
        raise UserError(f"{file} has model_type {name!r}; known are {', '.join(_names())}")
    return _load(name)


def _family_of(system: nn.Module) -> Family:
    for name in _names():
        if (family := _load(name)).SYSTEM is type(system):
            return family
    raise UsageError(f"{type(system).__name__} has no counterpart in the Hugging Face layout")
