"""`showtell import`: pretrained weights, their tokenizer and their preprocessing as a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from showtell.checkpoint.card import CardFacts, model_card
from showtell.checkpoint.save import save_checkpoint
from showtell.hub.sources import load_pretrained


def import_model(source: str, output: Path | str, *, download: bool = False) -> dict[str, Any]:
    """Write a pretrained model as a checkpoint, which every verb opens.

    `source` is a folder in the Hugging Face layout, a model that a package offers (`all-MiniLM-L6-v2`,
    `efficientnet_lite0`), or the id of a model on the hub, which is fetched with `download` alone.

    Returns the checkpoint's folder, the system's name and its number of parameters.

    Raises:
        MissingError: The model is not on this machine.
        UserError: A file, setting or tensor is missing, unknown or unfit; it is named.
    """
    pretrained = load_pretrained(source, download=download)
    system, name = pretrained.system, type(pretrained.system).__name__
    origin = "Trained by others: their terms apply. `showtell export` returns the parameters unchanged. "
    origin += "The description that came with them follows."
    preprocess: dict[str, Any] = {"version": pretrained.preprocessing} if pretrained.preprocessing else {}
    preprocess |= {"texts": pretrained.texts} if pretrained.texts else {}
    save_checkpoint(
        Path(output),
        system,
        record={"recipe": Path(source).name, "imported": source},
        tokenizer_json=pretrained.tokenizer_json,
        preprocess=preprocess,
        card=model_card(system, f"imported from `{source}`", CardFacts(sources=(origin, pretrained.about))),
    )
    count = sum(p.numel() for p in system.parameters())
    return {"model": str(output), "system": name, "parameters": count}
