"""A checkpoint folder, read back as a system."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from showtell.checkpoint.config import (
    CONFIG,
    FAMILIARITY,
    PREPROCESS,
    TENSORS,
    TOKENIZER,
    build_system,
    parse,
)
from showtell.checkpoint.frozen import FindSource, Frozen, fill_frozen
from showtell.checkpoint.tensors import load_tensors, named_tensors, read_tensors, refuse_nonfinite
from showtell.data.json import read_object
from showtell.errors import MissingError, UserError
from showtell.nn.unfilled import Unfilled
from showtell.writing import standing


@dataclass(frozen=True)
class Checkpoint:
    """What a folder holds."""

    system: nn.Module
    """In evaluation mode, float32, on the requested device, without its `training_only` parts."""
    record: dict[str, Any]
    """How it was made: recipe, data hash, seed, whatever its run wrote down."""
    tokenizer_json: str
    preprocess: dict[str, Any]
    hash: str
    """SHA-256 of all that decides the model's answers: parameters (frozen ones too), configuration, tokenizer
    and preprocessing."""
    folder: Path
    frozen: tuple[Frozen, ...] = ()
    """The parts that the folder does not hold."""
    familiarity: dict[str, Tensor] = field(default_factory=dict)
    """Statistics of the training images; empty where the folder holds none."""


def load_checkpoint(
    folder: Path, device: torch.device | str = "cpu", find_source: FindSource | None = None
) -> Checkpoint:
    """Read a checkpoint, or the one in `model/` of a training run.

    `find_source` resolves the sources of frozen parts; without it, a source is a checkpoint folder.

    Raises `UserError` naming the file, field or tensor that is missing, unknown, misshapen, NaN or
    damaged; `MissingError` naming the source of a frozen part that is not here or is not what it was.
    """
    folder = standing(Path(folder))
    if not (folder / CONFIG).exists() and (inner := standing(folder / "model")).is_dir():
        folder = inner
    if not folder.is_dir():
        raise UserError(
            f"there is no checkpoint at {folder}; give the folder that holds {CONFIG}, or a "
            "name that `showtell models` lists"
        )
    missing = [n for n in (CONFIG, TENSORS, TOKENIZER, PREPROCESS) if not (folder / n).is_file()]
    if missing:
        raise UserError(
            f"{folder} is not a complete checkpoint: {', '.join(missing)} missing. Copy the whole folder; "
            "import one of another library with `showtell import` first."
        )
    config = read_object(folder / CONFIG)
    with Unfilled():
        system = build_system(config, folder / CONFIG)
    frozen = parse(tuple[Frozen, ...], config.get("frozen", []), folder / CONFIG, "frozen")
    _remove(system, getattr(system, "training_only", ()))
    read_tensors(folder / TENSORS, named_tensors(system, without=[part.prefix for part in frozen]))
    fill_frozen(system, frozen, find_source or _tensors_of_folder, folder)
    refuse_nonfinite(named_tensors(system), folder / TENSORS)
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
        hash=_hash(folder, config, preprocess, frozen),
        folder=folder,
        frozen=frozen,
        familiarity=load_tensors(statistics) if (statistics := folder / FAMILIARITY).is_file() else {},
    )


def _remove(system: nn.Module, prefixes: tuple[str, ...]) -> None:
    """Delete the modules, parameters and buffers that prefixes name."""
    for prefix in prefixes:
        owner, _, name = prefix.removesuffix(".").rpartition(".")
        delattr(system.get_submodule(owner), name)


def _tensors_of_folder(source: str) -> Mapping[str, Tensor]:
    if not standing(Path(source)).is_dir():
        raise MissingError(f"there is no folder {source}")
    return named_tensors(load_checkpoint(Path(source)).system)


def _hash(
    folder: Path, config: Mapping[str, Any], preprocess: Mapping[str, Any], frozen: tuple[Frozen, ...]
) -> str:
    """A hash of the files' hashes, so that no byte can move from one file to the next unnoticed."""
    digest = hashlib.sha256()
    for name in (TENSORS, TOKENIZER):
        with (folder / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    parts = [[part.prefix, part.hash] for part in frozen]
    meaning = [config["system"], config["config"], preprocess, *parts]
    digest.update(json.dumps(meaning, sort_keys=True, ensure_ascii=False).encode())
    return digest.hexdigest()
