"""Weight families of the Hugging Face layout: one file each, found by being in the folder."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from torch import Tensor, nn

from showtell.errors import UsageError, UserError
from showtell.hub.huggingface import families
from showtell.hub.huggingface.rename import Rename


class Family(Protocol):
    """What a module of `families` offers; one whose models read images is an `ImageFamily`."""

    MODEL_TYPES: tuple[str, ...]
    """The values of `model_type` in `config.json`."""
    SYSTEMS: tuple[type[nn.Module], ...]
    """Our systems; the class of the config that `config_from` returns selects one."""

    def tidy(self, found: dict[str, Tensor], theirs: Mapping[str, Any]) -> dict[str, Tensor]:
        """Their tensors under the names of `table`, without copies of tied weights and old prefixes."""
        ...

    def config_from(self, theirs: Mapping[str, Any], names: set[str]) -> Any:
        """Our config from their `config.json` and the names of their tidied tensors."""
        ...

    def config_to(self, ours: Any) -> dict[str, Any]:
        """Their `config.json` from our config. Raises `UsageError` for what it cannot express."""
        ...

    def table(self, ours: Any) -> list[Rename]:
        """The rename table of all our tensors."""
        ...


class ImageFamily(Family, Protocol):
    """A family whose models read images."""

    PROCESSOR: str
    """The image processor class of `transformers`: `ViTImageProcessor`."""


def all_families() -> list[Family]:
    """Every module of `families`, by name."""
    names = (module.name for module in pkgutil.iter_modules(families.__path__))
    return [cast(Family, importlib.import_module(f"{families.__name__}.{name}")) for name in names]


def family_named(model_type: Any, file: Path) -> Family:
    """The family of a `model_type`. Raises `UserError` for one that is unknown or that `file` lacks."""
    known = {name: family for family in all_families() for name in family.MODEL_TYPES}
    if model_type is None:
        raise UserError(
            f"{file} has no model_type: this is no folder in the Hugging Face layout. "
            "A checkpoint of showtell needs no import."
        )
    if model_type not in known:
        raise UserError(f"{file} has model_type {model_type!r}; known are {', '.join(sorted(known))}")
    return known[model_type]


def family_of(system: nn.Module) -> tuple[Family, dict[str, Any]]:
    """The first family that can express a system, and its `config.json`. Raises `UsageError` if none can."""
    refusal = UsageError(f"{type(system).__name__} has no counterpart in the Hugging Face layout")
    for family in all_families():
        if type(system) in family.SYSTEMS:
            try:
                return family, family.config_to(cast(Any, system.config))
            except UsageError as error:
                refusal = error
    raise refusal
