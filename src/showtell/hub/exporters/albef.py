"""ALBEF's published layout: the `.pth` that their code loads, with the tokenizer beside it."""

from __future__ import annotations

from pathlib import Path

import torch

from showtell.checkpoint.load import Checkpoint
from showtell.errors import UsageError
from showtell.hub.albef import albef_state
from showtell.systems.albef import ALBEF
from showtell.systems.albef_finetuned import ALBEFRetriever

MARKER = "albef.pth"


def write(checkpoint: Checkpoint, folder: Path) -> None:
    """Weights, tokenizer and card of a checkpoint.

    Raises `UsageError` for a system that is no ALBEF, or one that their code cannot express.
    """
    if not isinstance(checkpoint.system, ALBEF | ALBEFRetriever):
        raise UsageError(f"{type(checkpoint.system).__name__} has no counterpart in the layout of ALBEF")
    torch.save({"model": albef_state(checkpoint.system)}, folder / MARKER)
    (folder / "tokenizer.json").write_text(checkpoint.tokenizer_json, "utf-8")
    card = checkpoint.folder / "README.md"
    if card.is_file():
        (folder / "README.md").write_text(card.read_text("utf-8", "replace"), "utf-8")
