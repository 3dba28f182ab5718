"""A system and all that it needs, written to a folder that anyone can read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from showtell.checkpoint.config import (
    CARD,
    CONFIG,
    FAMILIARITY,
    FORMAT,
    PREPROCESS,
    TENSORS,
    TOKENIZER,
    system_name,
)
from showtell.checkpoint.frozen import Frozen, require_unchanged
from showtell.checkpoint.tensors import named_tensors, write_tensors
from showtell.errors import UserError
from showtell.version import __version__
from showtell.writing import replace_folder, write_json


def save_checkpoint(
    folder: Path,
    system: nn.Module,
    *,
    record: Mapping[str, Any],
    tokenizer_json: str,
    preprocess: Mapping[str, Any],
    card: str,
    frozen: Sequence[Frozen] = (),
    dtype: torch.dtype | None = None,
    familiarity: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write a system of `showtell.systems` to a folder, replacing the checkpoint that is there.

    Left out are the tensors of `frozen` parts, which `config.json` records by source and hash, and those that
    the system names in `training_only`. `dtype=torch.float16` stores the parameters at half the size; they
    are loaded as float32. Killed at any moment, the new checkpoint or the previous one can be loaded.

    Raises `UserError` when the folder cannot be written, `UsageError` when it holds something else,
    `ValueError` when a frozen part has changed.
    """
    require_unchanged(system, frozen)
    left_out = [part.prefix for part in frozen] + list(getattr(system, "training_only", ()))
    tensors = named_tensors(system, without=left_out)
    if dtype is not None:
        tensors = {n: t.to(dtype) if t.is_floating_point() else t for n, t in tensors.items()}
        if unfit := [n for n, t in tensors.items() if not t.isfinite().all()]:
            raise UserError(
                f"{', '.join(unfit)} exceed what {dtype} can hold; store the parameters as float32"
            )
    config = {
        "format": FORMAT,
        "system": system_name(system),
        "config": dataclasses.asdict(cast(Any, system.config)),
        "frozen": [dataclasses.asdict(part) for part in frozen],
        "versions": {"showtell": __version__, "torch": str(torch.__version__)},
        "record": dict(record),
    }

    def write(temporary: Path) -> None:
        write_tensors(temporary / TENSORS, tensors)
        write_json(temporary / CONFIG, config)
        write_json(temporary / PREPROCESS, preprocess)
        (temporary / TOKENIZER).write_text(tokenizer_json, "utf-8")
        (temporary / CARD).write_text(card, "utf-8")
        if familiarity:
            write_tensors(temporary / FAMILIARITY, familiarity)

    # Models of other libraries have a config.json too, and must not be replaced.
    replace_folder(Path(folder), write, marker=PREPROCESS)
