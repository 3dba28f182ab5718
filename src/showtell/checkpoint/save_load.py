"""A checkpoint: a folder that anyone can read, and one way in and out of it."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import pkgutil
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_type_hints

import torch
from torch import nn

from showtell import systems
from showtell.checkpoint.folder import replace_folder, standing, write_json
from showtell.checkpoint.tensors import named_tensors, read_tensors, write_tensors
from showtell.data.json import read_object
from showtell.errors import UserError
from showtell.version import __version__

FORMAT = 1
CONFIG, WEIGHTS, TOKENIZER, PREPROCESS, CARD = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "preprocess.json",
    "README.md",
)


@dataclass(frozen=True)
class Checkpoint:
    """What a folder held."""

    system: nn.Module
    """In evaluation mode, float32, on the device asked for."""
    record: dict[str, Any]
    """What made it: recipe, data hash, seed, whatever its trainer wrote down."""
    tokenizer_json: str
    preprocess: dict[str, Any]
    hash: str
    """SHA-256 of all that decides the model's answers: weights, configuration, words, preprocessing."""
    folder: Path


def save_checkpoint(
    folder: Path,
    system: nn.Module,
    *,
    record: Mapping[str, Any],
    tokenizer_json: str,
    preprocess: Mapping[str, Any],
    card: str,
    dtype: torch.dtype | None = None,
) -> None:
    """Write a system of `showtell.systems` to a folder, in place of the checkpoint that is there.

    `dtype=torch.float16` stores the weights at half the size; they come back as float32. Killed at any
    moment, the new checkpoint or the one before can be loaded.

    Raises `UserError` when the folder cannot be written, `UsageError` when it holds something else.
    """
    tensors = named_tensors(system)
    if dtype is not None:
        tensors = {n: t.to(dtype) if t.is_floating_point() else t for n, t in tensors.items()}
        if unfit := [n for n, t in tensors.items() if not t.isfinite().all()]:
            raise UserError(f"{', '.join(unfit)} exceed what {dtype} can hold; store the weights as float32")
    config = {
        "format": FORMAT,
        "system": _name(type(system)),
        "config": dataclasses.asdict(cast(Any, system.config)),
        "versions": {"showtell": __version__, "torch": str(torch.__version__)},
        "record": dict(record),
    }

    def write(temporary: Path) -> None:
        write_tensors(temporary / WEIGHTS, tensors)
        write_json(temporary / CONFIG, config)
        write_json(temporary / PREPROCESS, preprocess)
        (temporary / TOKENIZER).write_text(tokenizer_json, "utf-8")
        (temporary / CARD).write_text(card, "utf-8")

    # Models of others hold a config.json too, and are not to be replaced.
    replace_folder(Path(folder), write, marker=PREPROCESS)


def load_checkpoint(folder: Path, device: torch.device | str = "cpu") -> Checkpoint:
    """Read a checkpoint, or the one in `model/` of a training run.

    Raises `UserError` naming the file, field or tensor that is missing, unknown, misshapen or damaged.
    """
    folder = standing(Path(folder))
    if not (folder / CONFIG).exists() and (inner := standing(folder / "model")).is_dir():
        folder = inner
    if not folder.is_dir():
        raise UserError(f"there is no checkpoint at {folder}; give the folder that holds {CONFIG}")
    missing = [n for n in (CONFIG, WEIGHTS, TOKENIZER, PREPROCESS) if not (folder / n).is_file()]
    if missing:
        raise UserError(
            f"{folder} is no complete checkpoint: {', '.join(missing)} missing. Copy the whole folder; "
            "one of another library goes through `showtell import` first."
        )
    config = read_object(folder / CONFIG)
    system = _build(config, folder / CONFIG)
    read_tensors(folder / WEIGHTS, named_tensors(system))
    try:
        tokenizer_json = (folder / TOKENIZER).read_text("utf-8")
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {folder / TOKENIZER}: {error}. Copy or download it again.") from error
    preprocess = read_object(folder / PREPROCESS)
    return Checkpoint(
        system=system.to(device).eval(),
        record=config.get("record", {}),
        tokenizer_json=tokenizer_json,
        preprocess=preprocess,
        hash=_hash(folder, config, preprocess),
        folder=folder,
    )


def _hash(folder: Path, config: Mapping[str, Any], preprocess: Mapping[str, Any]) -> str:
    """Of the files' hashes, so that no byte can move from one to the next unseen."""
    digest = hashlib.sha256()
    for name in (WEIGHTS, TOKENIZER):
        with (folder / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    meaning = [config["system"], config["config"], preprocess]
    digest.update(json.dumps(meaning, sort_keys=True, ensure_ascii=False).encode())
    return digest.hexdigest()


def _name(system: type) -> str:
    module = system.__module__.removeprefix(f"{systems.__name__}.")
    if module == system.__module__:
        raise ValueError(f"{system} does not live in showtell.systems, where checkpoints look for it")
    return f"{module}.{system.__name__}"


def _find(name: Any, file: Path) -> type[nn.Module]:
    """The class that `config.json` names. Nothing but a module of `showtell.systems` is ever imported."""
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


def _build(config: Mapping[str, Any], file: Path) -> nn.Module:
    """An untrained system as `config.json` describes it."""
    if config.get("format") != FORMAT:
        raise UserError(f"{file} has format {config.get('format')!r}, not {FORMAT}; upgrade showtell")
    cls: Any = _find(config.get("system"), file)
    try:
        return cls(_from_json(cls.Config, config.get("config"), "config", file))
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise UserError(f"{file} does not describe a {cls.__name__}: {error}. Download it again.") from error


def _from_json(cls: Any, values: Any, where: str, file: Path) -> Any:
    """A (nested) frozen dataclass from JSON, whose arrays become tuples. Every field must be known."""
    if not isinstance(values, dict):
        raise UserError(f"{file}: {where!r} is missing or no object; download it again")
    hints = get_type_hints(cls)
    known = {field.name for field in dataclasses.fields(cls)}
    if unknown := sorted(values.keys() - known):
        raise UserError(
            f"{file}: {where} has unknown fields {', '.join(unknown)}; if a newer showtell wrote it, "
            "upgrade showtell"
        )
    arguments = {}
    for name, value in values.items():
        if dataclasses.is_dataclass(hints[name]):
            value = _from_json(hints[name], value, f"{where}.{name}", file)
        arguments[name] = tuple(value) if isinstance(value, list) else value
    return cls(**arguments)
