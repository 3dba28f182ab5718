"""`showtell import`: pretrained weights, their tokenizer and their preprocessing as a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from showtell.checkpoint.config import CONFIG
from showtell.data.json import read_object
from showtell.errors import UsageError
from showtell.hub.checkpoints import import_checkpoint


def import_model(source: str, output: Path | str, *, download: bool = False) -> dict[str, Any]:
    """Write a pretrained model as a checkpoint, which every verb opens.

    `source` is a folder in the Hugging Face layout, a model that a package offers (`all-MiniLM-L6-v2`,
    `efficientnet_lite0`), the id of a model on the hub, which is fetched with `download` alone, or ALBEF's
    published `.pth`, beside which the tokenizer of BERT lies.

    Returns the checkpoint's folder, the system's name and its number of parameters.

    Raises:
        MissingError: The model is not on this machine.
        UsageError: Another model is at `output`.
        UserError: A file, setting or tensor is missing, unknown or unfit; it is named.
    """
    _refuse_another(source, Path(output))
    system = import_checkpoint(source, Path(output), download=download)
    count = sum(p.numel() for p in system.parameters())
    return {"model": str(output), "system": type(system).__name__, "parameters": count}


def _refuse_another(source: str, output: Path) -> None:
    """Raises `UsageError` where anything but an earlier import of the same source would be replaced."""
    if not (file := output / CONFIG).exists():
        return
    before = read_object(file).get("record")
    if not isinstance(before, dict) or before.get("imported") != source:
        raise UsageError(f"{output} holds another model; choose another folder")
