"""What a search engine is: ranks images by how well they fit a description.

An engine is a file of `pipelines/engines`: `rerank.py` holds the class `Rerank`. Its name is the file's, its
description the first line of the file; it says which protocols a model must keep. A new file is enough: the
command line, `Searcher` and `evaluate` find it.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Protocol

from torch import Tensor

from showtell.errors import UsageError
from showtell.library.hit import Hit
from showtell.library.sight import Sight
from showtell.library.vectors import largest
from showtell.pairing import PairScorer
from showtell.pipelines import engines
from showtell.pipelines.model import Model
from showtell.pipelines.text_input import Text
from showtell.protocols import Encoded
from showtell.wording import lacks


class SearchedImages(Protocol):
    """Images that can be searched: those of a library, or of an evaluation."""

    def __len__(self) -> int: ...

    def path(self, row: int) -> Path:
        """The file of an image."""
        ...

    def pooled(self) -> Tensor:
        """The pooled vectors of all images, `[N D]`."""
        ...

    def encoded(self, rows: Sequence[int]) -> Encoded:
        """Some images as the model encoded them."""
        ...

    def hits(self, found: Sequence[tuple[int, float]]) -> list[Hit]:
        """Rows and their scores as hits."""
        ...

    def sights(self) -> Sequence[Sight | None]:
        """What each image shows; None where it is not known."""
        ...

    def similar(self, vector: Tensor, top: int) -> list[Hit]:
        """The images nearest a vector `[D]` by cosine."""
        ...

    def full_text(self, query: str, top: int) -> list[Hit]:
        """The images whose captions share words with the query, by BM25."""
        ...


class Proposals(Protocol):
    """Images that another engine proposes, by vectors of another model."""

    @property
    def weight(self) -> float:
        """What the score of a proposal counts beside the log-odds that a pair matches."""
        ...

    def propose(self, query: str, count: int) -> Answer:
        """The `count` best for a query."""
        ...


@dataclass(frozen=True)
class Answer:
    """What an engine found for one query."""

    query: Text
    hits: list[Hit]
    """Best first; scores compare the images of one search with each other."""
    loss_curve: tuple[float, ...] | None = None
    """Of the inversion: nats per token, one value per step of gradient descent."""
    chance: float | None = None
    """The score that the best of as many images has by chance; None where it is not known. Of hits that were
    ranked again, the score by which they were proposed counts."""
    engine: str | None = None
    """The name of the engine, where a `Searcher` chose it."""

    @property
    def unknown(self) -> tuple[str, ...]:
        """Words of the query that the model does not know, and that were ignored."""
        return self.query.unknown

    @property
    def nothing_alike(self) -> bool:
        """Whether the best hit is no better than chance."""
        return self.chance is not None and all(hit.proposed <= self.chance for hit in self.hits)


class Engine(Protocol):
    """Ranks some images, with one model, for any number of queries."""

    requires: ClassVar[tuple[type, ...]]
    """The protocols that a model must keep."""
    preference: ClassVar[int | None]
    """Of the engines that a model supports, the one with the smallest number is the default; None for one
    that is used only when it is named."""
    needs_model: ClassVar[bool]
    """Whether it needs a model for the search itself."""

    def __init__(self, images: SearchedImages, model: Model | None) -> None: ...

    def find(self, queries: Sequence[Text], top: int, seed: int = 0) -> Iterator[Answer]:
        """The `top` best images for each query."""
        ...


class OwnProposals:
    """What a model of pairs proposes to itself: by the cosine of vectors where it has some, else by the
    engine that it prefers.

    Where contrast and matching were learned together, a cosine counts as it did there: over its temperature.
    Of a system that brings none, such as a published BLIP for retrieval, the bare cosine counts.
    """

    def __init__(self, images: SearchedImages, model: Model) -> None:
        self._model = model
        names = [name for name in engines_of(model) if PairScorer not in engine_named(name).requires]
        by_cosine = "dot" in names
        self._engine = engine_named("dot" if by_cosine else names[0])(images, model)
        self.weight = float(getattr(model.system, "logit_scale", 1.0)) if by_cosine else 0.0

    def propose(self, query: str, count: int) -> Answer:
        """The `count` best for a query."""
        return next(self._engine.find([self._model.read_text(query)], count))


def engine_named(name: str) -> type[Engine]:
    """The engine of a file of `pipelines/engines`. Raises `UsageError` for an unknown name."""
    if name not in (known := _names()):
        raise UsageError(f"no engine is called {name!r}; there are {', '.join(known)}")
    module: Any = import_module(f"{engines.__name__}.{name}")
    return getattr(module, "".join(part.title() for part in name.split("_")))


def require_engine(name: str, model: Model) -> None:
    """Raises `UsageError` for an engine that the model does not support, and names those that it does."""
    for protocol in engine_named(name).requires:
        if not model.can(protocol):
            able = " or ".join(engines_of(model))
            raise UsageError(
                f"the model {model.name} {lacks(protocol)}, so the engine {name} is not for it; use {able}"
            )


def engines_of(model: Model) -> list[str]:
    """The engines that a model supports, the default first; those used only when named are left out.

    Raises `UsageError` where there is none, naming the protocol that the model lacks.
    """
    preferred = {name: order for name in _names() if (order := engine_named(name).preference) is not None}
    known = sorted(preferred, key=preferred.__getitem__)
    able = [name for name in known if all(map(model.can, engine_named(name).requires))]
    if not able:
        model.require(*engine_named("dot").requires)
    return able


def best(images: SearchedImages, scores: Tensor, top: int) -> list[Hit]:
    """The images with the `top` highest of `scores [N]`."""
    rows = largest(scores.numpy(), top)
    return images.hits([(row, scores[row].item()) for row in rows])


def _names() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(engines.__path__)]
