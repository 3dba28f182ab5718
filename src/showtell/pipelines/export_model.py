"""`showtell export`: a checkpoint as a folder that other libraries read."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

from showtell.checkpoint.config import PREPROCESS
from showtell.errors import UsageError
from showtell.hub import exporters
from showtell.hub.checkpoints import open_checkpoint
from showtell.writing import replace_folder


def export_model(model: Path | str, output: Path | str, *, format: str = "huggingface") -> dict[str, Any]:
    """Write a checkpoint in another library's format, one of the modules of `hub.exporters`.

    An earlier export at `output` is replaced whole. Returns the folder, the system's name and its number of
    parameters.

    Raises:
        UsageError: The format is unknown or has no counterpart of the system, or `output` holds other files.
        UserError: The checkpoint is missing or damaged.
    """
    output = Path(output)
    formats = [module.name for module in pkgutil.iter_modules(exporters.__path__)]
    if format not in formats:
        raise UsageError(f"no format is called {format!r}; there are {', '.join(formats)}")
    if (output / PREPROCESS).exists():
        raise UsageError(f"{output} holds a checkpoint of showtell; choose another folder")
    exporter: Any = importlib.import_module(f"{exporters.__name__}.{format}")
    checkpoint = open_checkpoint(model)

    def write(folder: Path) -> None:
        exporter.write(checkpoint, folder)
        if output.is_dir() and (
            foreign := {p.name for p in output.iterdir()} - {p.name for p in folder.iterdir()}
        ):
            raise UsageError(
                f"{output} holds {min(foreign)}, which no earlier export wrote; choose another folder"
            )

    replace_folder(output, write, marker=exporter.MARKER)
    count = sum(p.numel() for p in checkpoint.system.parameters())
    return {"folder": str(output), "system": type(checkpoint.system).__name__, "parameters": count}
