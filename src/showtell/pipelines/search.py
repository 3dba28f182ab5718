"""Search in a library of images: by a description, or by an image."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from showtell.data.images.decode import MAX_PIXELS
from showtell.datasets.cuts import Cuts
from showtell.errors import UsageError, UserError
from showtell.library.hit import Hit
from showtell.library.search import Library
from showtell.library.store import Store
from showtell.pairing import PairScorer
from showtell.pipelines.captioner_rerank import CaptionerRerank
from showtell.pipelines.engine import (
    Answer,
    Engine,
    OwnProposals,
    engine_named,
    engines_of,
    require_engine,
)
from showtell.pipelines.index import open_library
from showtell.pipelines.model import Model, load_model
from showtell.pipelines.shipped import default_engine, model_for, proposer_for
from showtell.pipelines.text_input import Text
from showtell.protocols import Captioner, SharedSpace

logger = logging.getLogger(__name__)


def search(
    query: str,
    library: Path | str,
    model: Model | None = None,
    engine: str | None = None,
    top: int = 10,
    seed: int = 0,
    *,
    strict: bool = False,
    proposer: Model | None = None,
) -> Answer:
    """Images of a library that fit a description, best first.

    The model defaults to the shipped dual encoder, where its parts and its vectors are there, else to the
    captioner. Where both have indexed the library, the captioner ranks again what the dual encoder finds, if
    it does so within 0.2 s on this machine. A model of pairs, or a captioner, re-ranks what the `proposer`
    finds (see `Searcher`). An engine is a file of `pipelines/engines`, by default the first that the model
    supports. For many queries make one `Searcher`. A query longer than the model reads is cut, with a
    warning, or with `strict` refused by a `UserError`.

    Raises `UsageError` for an unknown engine, one that the model does not support, and a query without a
    single known word.
    """
    check_search(query, library)
    if model is None:
        engine = engine or default_engine(library)
        proposer = proposer or proposer_for(engine)
    searcher = Searcher(library, model or model_for(library, engine), proposer)
    cuts = searcher.cuts(strict)
    answer = searcher.search(query, engine, top, seed, cuts)
    cuts.log()
    return answer


def similar(
    image: Path | str,
    library: Path | str,
    model: Model | None = None,
    top: int = 10,
    *,
    max_pixels: int = MAX_PIXELS,
) -> list[Hit]:
    """Images of a library by their cosine to an image file, nearest first; the file itself is left out.

    Raises `ImageError` when the image cannot be read.
    """
    check_search(None, library)
    model = model or load_model()
    opened = open_library(library, model)
    encoded = model.encode([model.read(image, max_pixels)])
    itself = Path(image).resolve()
    hits = opened.similar(encoded.pooled[0].cpu(), top + 1)
    return [hit for hit in hits if hit.path.resolve() != itself][:top]


def check_search(query: str | None, library: Path | str) -> None:
    """What can be known before seconds of loading a model; `query` is None where it is not known yet.

    Raises `UsageError` for an empty query, `UserError` for a folder that is no library.
    """
    if query is not None and not query.strip():
        raise UsageError("the query is empty; describe an image in a few words")
    Store.open(library)


class Searcher:
    """An open library with its engines, for any number of queries.

    Without a model only engines that need none answer: `captions`.
    """

    weight: ClassVar = 0.0
    """Of its scores beside those of a model of pairs that re-ranks them: they are another model's."""

    def __init__(
        self, library: Path | str, model: Model | None = None, proposer: Model | None = None
    ) -> None:
        """A model of pairs re-ranks what the `proposer` finds: by default itself, if it has vectors too, else
        the shipped model that the library was indexed with. A captioner re-ranks by what it has indexed.

        Raises `UserError` for a folder that is no library, and for one without vectors of this model,
        `UsageError` for a model that re-ranks nothing with a proposer.
        """
        self._model = model
        self._proposer: Searcher | None = None
        self._described: Library | None = None
        if model is not None and (proposer or (model.can(PairScorer) and not model.can(SharedSpace))):
            if not model.can(PairScorer):
                model.require(Captioner)
                self._described = open_library(library, model)
            self._proposer = Searcher(library, proposer or model_for(library, None, model.device))
        self.library: Library = self._proposer.library if self._proposer else open_library(library, model)
        self._engines: dict[str, Engine | CaptionerRerank] = {}
        self._asked = self.cuts()

    def cuts(self, strict: bool = False) -> Cuts:
        """The count of queries longer than the model reads, for `search`; with `strict` they are refused."""
        if self._model is None:
            return Cuts(None, "", "query", strict)
        return Cuts(self._model.max_length, f"{self._model.name} reads", "query", strict)

    def search(
        self,
        query: str,
        engine: str | None = None,
        top: int = 10,
        seed: int = 0,
        cuts: Cuts | None = None,
    ) -> Answer:
        """As the function `search`.

        Queries that share `cuts` are counted in it, to be logged by the caller, and one that a cut makes
        equal to another is refused by a `UserError`; without `cuts` both are logged.
        """
        if not query.strip():
            raise UsageError("the query is empty; describe an image in a few words")
        name = engine or engines_of(self.model)[0]
        chosen = engine_named(name)
        by_captioner = self._described is not None and PairScorer in chosen.requires
        if chosen.needs_model:
            if not by_captioner:
                require_engine(name, self.model)
            text = self.model.read_text(query)
            if not text.known and not by_captioner:
                raise UsageError(f"the model knows no word of {query[:40]!r}; use other words")
            self._count(text, cuts)
        else:
            text = Text(query)
        if not len(self.library):
            return Answer(text, [], engine=name)
        if name not in self._engines:
            self._engines[name] = self._made(name, chosen)
        return replace(next(self._engines[name].find([text], top, seed)), engine=name)

    def _made(self, name: str, chosen: type[Engine]) -> Engine | CaptionerRerank:
        if PairScorer not in chosen.requires:
            if self._proposer:
                raise UsageError(f"a proposer is for the engine rerank, not for {name}")
            return chosen(self.library, self._model)
        if self._proposer and self._described:
            return CaptionerRerank(self._proposer, self.library, self._described, self.model)
        images: Any = self._proposer or OwnProposals(self.library, self.model)
        return chosen(images, self._model)

    def propose(self, query: str, count: int) -> Answer:
        """The `count` best images by the default engine."""
        return self.search(query, top=count)

    def _count(self, text: Text, cuts: Cuts | None) -> None:
        counts = self.cuts() if cuts is None else cuts
        counts.add(text.text, text.cut)
        try:
            (cuts or self._asked).tell_apart(text.text, text.ids, text.cut)
        except UserError as error:
            if cuts is not None:
                raise
            logger.warning("%s", error)
        if cuts is None:
            counts.log()

    @property
    def model(self) -> Model:
        """The model of this searcher. Raises `UsageError` where it has none."""
        if self._model is None:
            raise UsageError("this engine needs a model, and the searcher was made without one")
        return self._model
