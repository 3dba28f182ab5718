"""A model by the folder of its checkpoint, or by the name under which an installed package offers it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from showtell.hub.catalogue import find
from showtell.pipelines.import_model import import_model
from showtell.pipelines.model import Model, load_model


def load_offered(name: Path | str | None, device: str = "auto") -> Model:
    """As `load_model`; a name such as `all-MiniLM-L6-v2`, where no folder is called so, is imported first.

    Raises `MissingError` with the line that installs its package when it is not there.
    """
    if name is None or Path(name).exists() or not find(str(name)):
        return load_model(name, device)
    with tempfile.TemporaryDirectory(prefix="showtell-") as folder:
        return load_model(import_model(str(name), Path(folder) / "model")["model"], device)
