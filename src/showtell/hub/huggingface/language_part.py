"""The language model inside a model that reads images: its family, a module of `families`, and its tensors,
which stand under a prefix.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from showtell.errors import UsageError
from showtell.hub.huggingface.rename import Rename

OURS, THEIRS = "language.", "language_model."


def language_family(theirs: Mapping[str, Any], families: Iterable[Any], default: str) -> Any:
    """The family among `families` of a `text_config`, whose `model_type` may be left out for the `default`.

    Raises `ValueError` for a language model of none of them.
    """
    name = theirs.get("model_type", default)
    known = {one: family for family in families for one in family.MODEL_TYPES}
    if name not in known:
        raise ValueError(
            f"the language model {name!r} is not supported, only {', '.join(known)}: take one over those"
        )
    return known[name]


def language_config(ours: Any, families: Iterable[Any]) -> tuple[Any, dict[str, Any]]:
    """The first of `families` that can express a language model, from its config, and its `text_config`.

    Raises `UsageError` if none can.
    """
    name = type(ours).__name__.removesuffix("Config")
    refusal = UsageError(f"a {name} is no language model of it in transformers")
    for family in families:
        if type(ours) in [system.Config for system in family.SYSTEMS]:
            try:
                text = family.config_to(ours)
            except UsageError as error:
                refusal = error
            else:
                return family, {name: value for name, value in text.items() if name != "architectures"}
    raise refusal


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
