"""The language model inside a model that reads images: the tensors of its family, a module of `families`,
under a prefix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from showtell.hub.huggingface.rename import Rename

OURS, THEIRS = "language.", "language_model."


def tidy_language(found: Mapping[str, Tensor], family: Any, theirs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Their tensors, those of the language model as `family` tidies them by its `text_config`."""
    text = {name.removeprefix(THEIRS): t for name, t in found.items() if name.startswith(THEIRS)}
    others = {name: t for name, t in found.items() if not name.startswith(THEIRS)}
    return others | {f"{THEIRS}{name}": tensor for name, tensor in family.tidy(text, theirs).items()}


def language_table(family: Any, ours: Any) -> list[Rename]:
    """The rows of a language model's `ours`, a config of `family`."""
    return [
        replace(row, ours=f"{OURS}{row.ours}", theirs=tuple(f"{THEIRS}{name}" for name in row.theirs))
        for row in family.table(ours)
    ]
