"""Weight families of the Hugging Face layout: one file each, found by being in the folder."""

from __future__ import annotations

import importlib
import logging
import pkgutil
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from torch import Tensor, nn

from showtell.errors import UsageError, UserError
from showtell.hub.huggingface import families
from showtell.hub.huggingface.rename import Rename

logger = logging.getLogger(__name__)


class Family(Protocol):
    """What a module of `families` offers; one whose models read images is an `ImageFamily`."""

    MODEL_TYPES: tuple[str, ...]
    """The values of `model_type` in `config.json`."""
    SYSTEMS: tuple[type[nn.Module], ...]
    """Our systems; the class of the config that `config_from` returns selects one."""

    MARK: str
    """The end of a tensor's name that tells the family where no `model_type` does."""

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


def family_named(theirs: Mapping[str, Any], file: Path) -> tuple[Family, str] | None:
    """The family of a `config.json` and its `model_type`, which the oldest only have in `architectures`.

    None where neither is there. Raises `UserError` for one that is unknown, and for a checkpoint of ours.
    """
    known = {name: family for family in all_families() for name in family.MODEL_TYPES}
    name = theirs.get("model_type")
    if name is None and "system" in theirs:
        raise UserError(
            f"{file} has no model_type: this is no folder in the Hugging Face layout. "
            "A checkpoint of showtell needs no import."
        )
    for architecture in theirs.get("architectures") or ():
        stem = re.sub("(Model|For|LMHead|DoubleHeads).*", "", str(architecture)).lower()
        name = name or next((one for one in known if one.replace("_", "") == stem), None)
    if name is None:
        return None
    if name not in known:
        raise UserError(f"{file} has model_type {name!r}; known are {', '.join(sorted(known))}")
    return known[name], name


def family_like(names: Iterable[str], theirs: Mapping[str, Any], file: Path) -> tuple[Family, str]:
    """The family whose tensors have such names, and its `model_type`; it is said in a warning.

    Of two families with the same names, the prefix of the encoder decides, else the padding id.

    Raises `UserError` where no family has.
    """
    names = {f".{name}" for name in names}
    fits = [f for f in all_families() if any(name.endswith(f".{f.MARK}") for name in names)]
    if not fits:
        raise UserError(f"{file} has no model_type, and its tensors are of no known family; add model_type")

    def agrees(one: Family) -> tuple[bool, bool]:
        prefixed = any(name.endswith(f".{one.MODEL_TYPES[0]}.{one.MARK}") for name in names)
        padding = getattr(one, "DEFAULTS", {}).get("pad_token_id", 0)
        return prefixed, theirs.get("pad_token_id", 0) == padding

    family = max(fits, key=agrees)
    name = family.MODEL_TYPES[0]
    logger.warning("%s has no model_type: read as %r, after the names of its tensors", file, name)
    return family, name


def family_of(system: nn.Module) -> tuple[Family, dict[str, Any]]:
    """The first family that can express a system, and its `config.json`. Raises `UsageError` if none can."""
    refusal, known = None, all_families()
    for family in known:
        if type(system) in family.SYSTEMS:
            try:
                return family, family.config_to(cast(Any, system.config))
            except UsageError as error:
                refusal = error
    names = sorted({one.__name__ for family in known for one in family.SYSTEMS})
    raise refusal or UsageError(
        f"{type(system).__name__} has no counterpart in the Hugging Face layout; what is written there: "
        f"{', '.join(names)}"
    )
