"""The tensors of a `pytorch_model.bin`, read without running the code in it."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from showtell.errors import UserError
from showtell.wording import listed

logger = logging.getLogger(__name__)
INSIDE = ("state_dict", "model_state_dict", "model", "module")
"""Where the checkpoint of a training run keeps its tensors, beside epoch, optimizer and so on."""


def read_pickled(path: Path) -> dict[str, Tensor]:
    """All tensors of a file that `torch.save` wrote, by name.

    `torch.load(weights_only=True)` builds tensors and plain containers, and refuses every other type.

    Raises `UserError` naming the file, and the type that was refused or the entry that is no tensor.
    """
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # from pickle, zip, the file system or torch
        raise UserError(_reason(path, str(error))) from error
    if isinstance(found, Mapping):
        for name in INSIDE:
            if isinstance(found.get(name), Mapping):
                others = sorted(str(other) for other in found if other != name)
                logger.info("%s: read the tensors under %r, not %s", path, name, listed(others))
                found = found[name]
                break
    if not isinstance(found, Mapping):
        raise UserError(f"{path} holds a {type(found).__name__}, not tensors by name; give a state_dict")
    if wrong := [name for name, value in found.items() if not isinstance(value, Tensor)]:
        kinds = [f"{name!r} is a {type(found[name]).__name__}" for name in wrong]
        raise UserError(f"{path} holds more than tensors: {listed(kinds)}; save the state_dict alone")
    return {str(name): tensor.detach() for name, tensor in found.items()}


def _reason(path: Path, message: str) -> str:
    """What is wrong with a file that cannot be loaded: the type that it asks for, or that it is damaged."""
    if refused := re.search(r"GLOBAL ([\w.]+)", message):
        return (
            f"{path} is refused: it holds a {refused[1]}, and reading that may run any code. Only tensors "
            "are read; save its state_dict alone, or ask its author for model.safetensors"
        )
    if "Unsupported operand" in message or not message.strip("0123456789"):  # a number is a memo of pickle
        message = "torch.save did not write it with its usual protocol"
    return f"cannot read {path}: {message.splitlines()[0]}. Download it again."
