"""The files of a checkpoint, and the one that says which system it holds."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from torch import nn

from showtell import systems
from showtell.errors import UserError
from showtell.version import __version__

FORMAT = 1
FAMILIARITY = "familiarity.safetensors"
"""Statistics of the training images; optional, and no part of the hash, since no vector depends on them."""
CONFIG, TENSORS, TOKENIZER, PREPROCESS, CARD = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "preprocess.json",
    "README.md",
)


def system_name(system: nn.Module) -> str:
    """`module.Class` of a system in `showtell.systems`, where `build_system` finds it again.

    Raises `ValueError` for a class that is defined elsewhere.
    """
    cls = type(system)
    module = cls.__module__.removeprefix(f"{systems.__name__}.")
    if module == cls.__module__:
        raise ValueError(f"{cls} is not defined in showtell.systems, where checkpoints look for it")
    return f"{module}.{cls.__name__}"


def build_system(config: Mapping[str, Any], file: Path) -> nn.Module:
    """The untrained system that the `config` read from `file` describes.

    Raises `UserError` for another format, an unknown system, and fields that are missing, unknown or wrong.
    """
    require_format(config, file)
    cls: Any = _find(config.get("system"), file)
    values = config.get("config")
    if not isinstance(values, dict):
        raise UserError(f"{file}: 'config' is missing or not an object; download it again")
    try:
        return parse(cls.Config, values, file, "config").build()
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise UserError(f"{file} does not describe a {cls.__name__}: {error}. Download it again.") from error


def require_format(values: Mapping[str, Any], file: Path) -> None:
    """Raises `UserError` for a file that another version wrote."""
    if values.get("format") != FORMAT:
        raise UserError(f"{file} has format {values.get('format')!r}, not {FORMAT}; upgrade showtell")


def parse(kind: Any, values: Any, file: Path, where: str) -> Any:
    """A dataclass, or a tuple of them, from JSON; messages call it `where` in `file`.

    Raises `UserError` that names each field that is missing, unknown or of another type.
    """
    try:
        return TypeAdapter(kind).validate_json(json.dumps(values), strict=True, extra="forbid")
    except ValidationError as error:
        faults = [(".".join(map(str, fault["loc"])), fault) for fault in error.errors()]
        unknown = sorted(name for name, fault in faults if fault["type"] == "unexpected_keyword_argument")
        if unknown:
            raise UserError(
                f"{file}: {where} has unknown fields {', '.join(unknown)}; if a newer showtell wrote it, "
                "upgrade showtell"
            ) from error
        reasons = "; ".join(f"{name} is {fault['input']!r}: {fault['msg']}" for name, fault in faults)
        raise UserError(f"{file}: {where} is wrong: {reasons}. Download it again.") from error


def all_systems() -> dict[str, Any]:
    """The systems by the names of their classes."""
    names = (module.name for module in pkgutil.iter_modules(systems.__path__))
    modules = [importlib.import_module(f"{systems.__name__}.{name}") for name in names]
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and "Config" in vars(value)
    }


def _find(name: Any, file: Path) -> type[nn.Module]:
    """The class that `config.json` names. Only modules of `showtell.systems` are ever imported."""
    if isinstance(name, str) and (match := re.fullmatch(r"([a-z][a-z0-9_]*)\.([A-Z][A-Za-z0-9]*)", name)):
        known = {module.name for module in pkgutil.iter_modules(systems.__path__)}
        if match[1] in known:
            module = importlib.import_module(f"{systems.__name__}.{match[1]}")
            found = getattr(module, match[2], None)
            if isinstance(found, type) and issubclass(found, nn.Module) and hasattr(found, "Config"):
                return found
    raise UserError(
        f"{file} names the system {name!r}, which showtell {__version__} does not have; upgrade showtell"
    )
