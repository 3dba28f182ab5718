"""`showtell merge`: a base and its adapter as one checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from showtell.checkpoint.adapters import adapted, base_of
from showtell.checkpoint.card import CardFacts, model_card
from showtell.checkpoint.save import save_checkpoint
from showtell.hub.checkpoints import open_checkpoint
from showtell.hub.qwen_vl import is_qwen_vl
from showtell.hub.qwen_vl_system import write_merged


def merge_adapter(
    adapter: Path | str, output: Path | str, *, model: Path | str | None = None
) -> dict[str, Any]:
    """Add an adapter into the matrices of its base, and write the model that this makes.

    `model` is the base, where it is not where the adapter says; if that is a Qwen-VL folder, so is what is
    written. Returns the checkpoint's folder, the system's name and its number of parameters.

    Raises:
        MissingError: The base is not on this machine, or another than the adapter was trained on.
        UserError: There is no adapter, or a file is damaged.
    """
    base = model or base_of(Path(adapter))
    if is_qwen_vl(base):
        return _said(output, write_merged(Path(adapter), Path(base), Path(output)))
    merged = adapted(Path(adapter), open_checkpoint(base))
    system, recipe = merged.system, merged.record.get("recipe", "an adapter")
    save_checkpoint(
        Path(output),
        system,
        record={**merged.record, "merged": str(adapter)},
        tokenizer_json=merged.tokenizer_json,
        preprocess=merged.preprocess,
        card=model_card(system, f"`{merged.folder}` with `{recipe}` merged into it", CardFacts()),
        familiarity=merged.familiarity,
    )
    return _said(output, system)


def _said(output: Path | str, system: nn.Module) -> dict[str, Any]:
    count = sum(p.numel() for p in system.parameters())
    return {"model": str(output), "system": type(system).__name__, "parameters": count}
