"""The models that are used where none is named: the captioner, and beside it a dual encoder that searches."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path

from showtell.errors import MissingError, UserError
from showtell.library.search import Library
from showtell.pipelines.engine import engine_named
from showtell.pipelines.model import SHIPPED, Model, load_model
from showtell.protocols import SharedSpace

logger = logging.getLogger(__name__)

DUAL_ENCODER = "default_search"


def shipped_dual_encoder(device: str = "auto") -> Model | None:
    """The shipped dual encoder; None where a package with one of its parts is missing, which is said once."""
    if not (SHIPPED.parent / DUAL_ENCODER).is_dir():
        return None
    try:
        return load_model(SHIPPED.parent / DUAL_ENCODER, device)
    except MissingError as error:
        _say(f"search uses the captioner alone, slower and in English: {error}")
        return None


def model_for(library: Path | str, engine: str | None, device: str = "auto") -> Model | None:
    """The shipped model for an engine, or without one for a library; None for an engine that needs none.

    A library that the dual encoder has indexed is searched with it, any other with the captioner.

    Raises `MissingError` where the engine needs the dual encoder and a part of it is not here.
    """
    chosen = None if engine is None else engine_named(engine)
    if chosen and not chosen.needs_model:
        return None
    if chosen and SharedSpace in chosen.requires:
        return load_model(SHIPPED.parent / DUAL_ENCODER, device)
    if chosen is None and (dual := shipped_dual_encoder(device)):
        try:
            Library.open(library, dual)
        except UserError:
            _say(f"search uses the captioner alone until {library} is indexed again")
        else:
            return dual
    return load_model(device=device)


@cache
def _say(what: str) -> None:
    logger.warning(what)
