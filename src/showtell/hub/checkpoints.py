"""Checkpoints by whatever a person names: a folder, a run, an adapter, a model shipped or in a package."""

from __future__ import annotations

import difflib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from showtell.checkpoint.adapters import adapted, adapter_in, base_of
from showtell.checkpoint.card import CardFacts, model_card
from showtell.checkpoint.frozen import FindSource
from showtell.checkpoint.load import Checkpoint, load_checkpoint
from showtell.checkpoint.save import save_checkpoint
from showtell.errors import UserError
from showtell.hub.catalogue import find
from showtell.hub.sources import frozen_tensors, load_pretrained

SHIPPED_MODELS = Path(__file__).parents[1] / "models"


def open_checkpoint(
    source: Path | str, device: str = "cpu", find_source: FindSource = frozen_tensors
) -> Checkpoint:
    """A checkpoint, the one in a training run, or a model by its name: shipped, or of a package.

    A folder comes before a name. An adapter is loaded into the base that it names.

    Raises `UserError` as `load_checkpoint`, `MissingError` for a package or a base that is not on this
    machine.
    """
    if adapter := adapter_in(Path(source)):
        return adapted(adapter, open_checkpoint(base_of(adapter), device, find_source))
    if not Path(source).exists():
        shipped = {folder.name: folder for folder in SHIPPED_MODELS.iterdir()}
        near = difflib.get_close_matches(str(source), shipped)
        if str(source) in shipped:
            source = shipped[str(source)]
        elif near and not find(str(source)):
            meant = " or ".join(near)
            raise UserError(f"there is no checkpoint at {source}; did you mean the shipped model {meant}?")
    if Path(source).exists() or not find(str(source)):
        return load_checkpoint(Path(source), device, find_source)
    with tempfile.TemporaryDirectory(prefix="showtell-") as temporary:
        import_checkpoint(str(source), folder := Path(temporary) / "model")
        return replace(load_checkpoint(folder, device, find_source), folder=Path(source))


def import_checkpoint(source: str, output: Path, *, download: bool = False) -> nn.Module:
    """Write a pretrained model of another library as a checkpoint; return its system.

    Raises as `load_pretrained`.
    """
    pretrained = load_pretrained(source, download=download)
    system = pretrained.system
    origin = "Trained by others: their terms apply. `showtell export` returns the parameters unchanged. "
    origin += "The description that came with them follows."
    preprocess: dict[str, Any] = {"version": pretrained.preprocessing} if pretrained.preprocessing else {}
    preprocess |= {"texts": pretrained.texts} if pretrained.texts else {}
    save_checkpoint(
        output,
        system,
        record={"recipe": Path(source).name, "imported": source},
        tokenizer_json=pretrained.tokenizer_json,
        preprocess=preprocess,
        card=model_card(system, f"imported from `{source}`", CardFacts(sources=(origin, pretrained.about))),
    )
    return system
