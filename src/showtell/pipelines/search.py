"""Find images in a library: by description, with four engines, and by image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from showtell.data.images.decode import MAX_PIXELS
from showtell.data.tokenizers.words import WordTokenizer
from showtell.errors import UsageError
from showtell.library.search import Match, largest
from showtell.pipelines.index import open_library
from showtell.pipelines.model import Model, load_model
from showtell.protocols import Captioner, Encoded, ImageEncoder, State, TextEncoder
from showtell.tasks.inversion import Prior, invert, nearest
from showtell.tasks.likelihood import likelihood

ENGINES: dict[str, tuple[type, ...]] = {
    "likelihood": (Captioner,),
    "inversion": (Captioner,),
    "captions": (Captioner,),
    "dot": (TextEncoder, ImageEncoder),
}
"""The ways to search by description, with what a model must be able to do for each."""
CHUNK = 512
REMEMBERED_BYTES = 2**30


@dataclass(frozen=True)
class Hit:
    """An image found. Scores compare the images of one search with each other."""

    query: str
    rank: int
    """From 1."""
    path: str
    score: float
    row: int
    """The image's place in the library."""


@dataclass(frozen=True)
class Answer:
    """What a search by description found."""

    hits: list[Hit]
    unknown: tuple[str, ...] = ()
    """Words of the query that the model does not know and left out."""
    loss_curve: tuple[float, ...] | None = None
    """Of the inversion engine: nats a word, one value a step of the descent."""


def search(
    query: str,
    library: Path | str,
    model: Model | None = None,
    engine: str | None = None,
    top: int = 10,
    seed: int = 0,
) -> Answer:
    """Images of a library that fit a description, best first; without a model, the shipped one.

    `likelihood` scores an image by the log-probability a word of the query; `inversion` imagines a
    image of which the model would say the query and scores by cosine to it; `captions` matches words
    with the stored captions; `dot` scores by cosine to the query's own vector. Without an engine, the first
    of them that the model can answer. For many queries make one `Searcher`.

    Raises `UsageError` for an unknown engine, one that the model cannot answer, or a query without a single
    known word.
    """
    _require_known(engine)
    if model is None and engine != "captions":
        model = load_model()
    return Searcher(library, model).search(query, engine, top, seed)


def similar(
    image: Path | str,
    library: Path | str,
    model: Model | None = None,
    top: int = 10,
    *,
    max_pixels: int = MAX_PIXELS,
) -> list[Hit]:
    """Images of a library by their cosine to an image file, nearest first, that file itself left out.

    Raises `ImageError` when the image cannot be read.
    """
    model = model or load_model()
    opened = open_library(library, model)
    encoded = model.encode([model.read(image, max_pixels)])
    itself = Path(image).resolve()
    matches = opened.similar(encoded.pooled[0], top + 1)
    others = [match for match in matches if match.path.resolve() != itself][:top]
    return _hits(str(image), others)


def engines_of(model: Model) -> list[str]:
    """The engines that a model can answer, its own captions among them, the default first.

    Raises `UsageError` where there is none.
    """
    able = [engine for engine, abilities in ENGINES.items() if all(map(model.can, abilities))]
    if not able:
        model.require(*ENGINES["dot"])
    return able


class Searcher:
    """An open library and what its model remembers of its images, for any number of queries.

    Without a model only the `captions` engine answers.
    """

    def __init__(self, library: Path | str, model: Model | None = None) -> None:
        """Raises `UserError` for no library, or one without vectors of this model."""
        self.library = open_library(library, model)
        self._model = model
        self._remembered: dict[int, State] = {}

    def search(self, query: str, engine: str | None = None, top: int = 10, seed: int = 0) -> Answer:
        """As the function `search`."""
        _require_known(engine)
        if not query.strip():
            raise UsageError("the query is empty; describe an image in a few words")
        if engine == "captions":
            return Answer(_hits(query, self.library.full_text(query, top)))
        engine = engine or engines_of(self.model)[0]
        self.model.require(*ENGINES[engine])
        known, unknown = self._known(query)
        if not len(self.library):
            return Answer([], unknown)
        if engine == "dot":
            (vector,) = self.model.encode_texts([known])
            return Answer(_hits(query, self.library.similar(vector, top)), unknown)
        ids, curve = self.model.tokenizer.encode(known), None
        if engine == "likelihood":
            scores = self._likelihood(ids)
        else:
            scores, curve = self._inversion(ids, seed)
        rows = largest(scores.numpy(), top)
        matches = [Match(row, self.library.path(row), scores[row].item()) for row in rows]
        return Answer(_hits(query, matches), unknown, curve)

    @property
    def model(self) -> Model:
        """The model that this searcher was given."""
        assert self._model is not None, "this searcher was made for the captions engine"
        return self._model

    def _known(self, query: str) -> tuple[str, tuple[str, ...]]:
        """The query without the words that the model does not know, and those; pieces spell any word."""
        tokenizer = self.model.tokenizer
        if not isinstance(tokenizer, WordTokenizer):
            return query, ()
        words = tokenizer.split(query)
        unknown = tuple(word for word in words if tokenizer.id_of(word) is None)
        if len(unknown) == len(words):
            raise UsageError(f"the model knows no word of {query!r}; say in other words what the image shows")
        return " ".join(word for word in words if word not in unknown), unknown

    def _likelihood(self, ids: list[int]) -> torch.Tensor:
        return torch.cat([likelihood(self.model.system, ids, memory) for memory in self._memories()])

    def _inversion(self, ids: list[int], seed: int) -> tuple[torch.Tensor, tuple[float, ...]]:
        (found,) = invert(self.model.system, [ids], self._prior, seed=seed)
        return nearest(found, self._pooled).cpu(), tuple(found.losses)

    def _memories(self) -> Iterator[State]:
        """What the model keeps of every image, chunk by chunk; kept between queries while it is small."""
        for chunk in range(0, len(self.library), CHUNK):
            memory = self._remembered.get(chunk)
            if memory is None:
                with torch.inference_mode():
                    memory = self.model.system.prefill(self._encoded(chunk))
                size = sum(t.nbytes for t in memory.values())
                if size * (len(self._remembered) + 1) <= REMEMBERED_BYTES:
                    self._remembered[chunk] = memory
            yield memory

    @cached_property
    def _pooled(self) -> torch.Tensor:
        return self.library.pooled().to(self.model.device)

    @cached_property
    def _prior(self) -> Prior:
        return Prior.of(self._pooled)

    def _encoded(self, chunk: int) -> Encoded:
        rows = range(chunk, min(chunk + CHUNK, len(self.library)))
        return self.model.place(self.library.encoded(rows))


def _hits(query: str, matches: list[Match]) -> list[Hit]:
    return [Hit(query, rank, str(m.path), m.score, m.row) for rank, m in enumerate(matches, 1)]


def _require_known(engine: str | None) -> None:
    if engine is not None and engine not in ENGINES:
        raise UsageError(f"no engine is called {engine!r}; there are {', '.join(ENGINES)}")
