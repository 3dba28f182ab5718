"""How a sentence encoder pools a text's tokens, under their names and ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from showtell.errors import UserError
from showtell.hub.huggingface.sentence_layers import settings
from showtell.nn.pool import Pooling

MODES: dict[str, Pooling] = {
    "cls": "first",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt",
    "weightedmean": "weighted_mean",
    "lasttoken": "last",
}
"""In the order in which older files, which have a flag for each, put their vectors side by side."""
FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


def pooling(theirs: Mapping[str, Any], default: str = "mean") -> Pooling | tuple[Pooling, ...]:
    """How an encoder pools a text, by its `sentence_pooling`: `mean`, `cls+max`."""
    names = theirs.get("sentence_pooling", default).split("+")
    if unknown := [name for name in names if name not in MODES]:
        raise ValueError(f"sentence_pooling {unknown[0]!r} is none of {', '.join(MODES)}")
    modes = tuple(MODES[name] for name in names)
    return modes[0] if len(modes) == 1 else modes


def sentence_pooling(ours: Any) -> dict[str, str]:
    """The same as a setting of their config."""
    names = {ours: name for name, ours in MODES.items()}
    return {"sentence_pooling": "+".join(names[mode] for mode in ours.poolings)}


def pooling_said(file: Path) -> tuple[str, int | None, bool]:
    """The `sentence_pooling` of `1_Pooling/config.json`, the tokens' width, and whether a prompt is pooled.

    Older files have a flag for each mode, newer ones a `pooling_mode`. The reference's default is `mean`.

    Raises `UserError` that names a setting which showtell does not have.
    """
    said = settings(
        file, "word_embedding_dimension", "embedding_dimension", "pooling_mode", "include_prompt", *FLAGS
    )
    modes = said.get("pooling_mode") or [name for flag, name in FLAGS.items() if said.get(flag)] or "mean"
    names = [modes] if isinstance(modes, str) else modes
    if not isinstance(names, list) or not all(name in MODES for name in names):
        raise UserError(f"{file}: pooling_mode {modes!r} is none of {', '.join(MODES)}")
    width = said.get("embedding_dimension", said.get("word_embedding_dimension"))
    return "+".join(names), width, said.get("include_prompt") is not False


def pooling_file(name: str, width: int, include_prompt: bool) -> dict[str, Any]:
    """`1_Pooling/config.json`, with the flags that every version of `sentence-transformers` reads."""
    names = name.split("+")
    if names == [mode for mode in MODES if mode in names]:
        modes: dict[str, Any] = {flag: mode in names for flag, mode in FLAGS.items()}
    else:  # in an order of its own, which only newer versions have
        modes = {"pooling_mode": names}
    return {"word_embedding_dimension": width, **modes, "include_prompt": include_prompt}
