"""Everything a captioner can do, once, on one folder of images, told and shown in one report."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from showtell.data.images.samples import sample_photographs
from showtell.errors import UserError
from showtell.library.search import Library
from showtell.pipelines.engine import engines_of
from showtell.pipelines.index import index
from showtell.pipelines.model import Model, load_model
from showtell.pipelines.search import Searcher
from showtell.pipelines.words import analogy, similar_words
from showtell.protocols import Captioner, HasTokenEmbeddings
from showtell.reports import report
from showtell.reports.map import image_map, images_of, word_map
from showtell.tasks.caption import Caption

QUERIES = ("a woman smiling", "a man with a camera", "a motorcycle", "a dog running through the grass")
WORDS = ("boy", "two", "red", "running")
ANALOGIES = (("man", "men", "woman"), ("riding", "sitting", "walking"), ("grass", "green", "sky"))
MAPPED_WORDS, MAPPED_IMAGES, TOLD = 400, 1000, 200
"""Beyond these the report would take minutes to make, or to open."""


@dataclass(frozen=True)
class Shown:
    """What a demonstration left behind."""

    report: str
    library: str
    images: int
    skipped: int
    seconds: float


def demo(
    folder: Path | str | None = None,
    output: Path | str = "demo",
    model: Model | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Shown:
    """Index a folder, caption, search, compare words, draw both maps; write `output/report.html`.

    Without a folder, the photographs that installed packages carry, copied to `output/photographs`;
    without a model, the shipped one. `tell` is called with a line of progress at a time.

    Raises `UsageError` for a model that is no captioner.
    """
    started = time.monotonic()
    output = Path(output)
    model = model or load_model()
    model.require(Captioner, HasTokenEmbeddings)
    images = _samples(output / "photographs") if folder is None else Path(folder)
    tell(f"model {model.name}; images in {images}")
    # One library a folder: another folder's images would stay in it.
    digest = hashlib.sha256(os.fsencode(images.resolve())).hexdigest()
    place = output / f"library-{digest[:8]}"
    indexed = index(images, place, model)
    if not indexed.total - indexed.skipped:
        raise UserError(f"no image in {images} can be read; {place / 'skipped.jsonl'} says why")
    tell(
        f"{indexed.total - indexed.skipped} images in the library, {indexed.skipped} skipped "
        f"({indexed.seconds:.1f} s)"
    )
    searcher = Searcher(place, model)
    library = searcher.library
    told = _told(library, model, tell)
    searches = _searches(searcher, tell)
    alike = _alike(library)
    near, analogies = _words(model, tell)
    tell("drawing the maps")
    path = output / "report.html"
    report.write_report(
        path,
        title="One network, four uses",
        model=model.name,
        images=told,
        searches=searches,
        similar_images=alike,
        words=near,
        analogies=analogies,
        word_map=word_map(model, MAPPED_WORDS),
        image_map=image_map(library, MAPPED_IMAGES),
        seconds=time.monotonic() - started,
    )
    seconds = round(time.monotonic() - started, 1)
    tell(f"done in {seconds} s")
    return Shown(str(path), str(place), len(library), indexed.skipped, seconds)


def _samples(folder: Path) -> Path:
    """Copies of the sample photographs, so that the report names files that a person can find."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for photograph in sample_photographs():
            shutil.copyfile(photograph, folder / photograph.name)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}; name another --output") from error
    return folder


def _spaced(count: int, wanted: int) -> list[int]:
    """At most `wanted` of `count` places, evenly spaced."""
    return np.linspace(0, count - 1, min(wanted, count)).astype(int).tolist()


def _told(library: Library, model: Model, tell: Callable[[str], None]) -> list[report.CaptionedImage]:
    rows = _spaced(len(library), TOLD)
    said: list[list[Caption]] = []
    for first in range(0, len(rows), 32):
        said += model.caption_encoded(library.encoded(rows[first : first + 32]), num=3)
    told = [report.CaptionedImage(p, c) for p, c in zip(images_of(library, rows), said, strict=True)]
    for one in told[:5]:
        best = one.captions[0]
        tell(f"  {Path(one.image.path).name}: {best.text} ({math.exp(best.logprob_per_token):.0%} a word)")
    return told


def _searches(searcher: Searcher, tell: Callable[[str], None]) -> list[report.Search]:
    searches = []
    for query in _known(searcher.model, QUERIES):
        for engine in engines_of(searcher.model):
            started = time.perf_counter()
            hits = searcher.search(query, engine, top=5).hits
            seconds = time.perf_counter() - started
            images = images_of(searcher.library, [hit.row for hit in hits])
            found = [report.FoundImage(p, hit.score) for p, hit in zip(images, hits, strict=True)]
            searches.append(report.Search(query, engine, seconds, found))
            if hits:
                tell(f'  "{query}", {engine}: {Path(hits[0].path).name} ({1000 * seconds:.0f} ms)')
    return searches


def _alike(library: Library) -> list[report.SimilarImages]:
    alike = []
    for row in _spaced(len(library), 4):
        matches = [m for m in library.similar(library.vectors()[row], 6) if m.row != row][:5]
        asked, *near = images_of(library, [row, *(m.row for m in matches)])
        alike.append(
            report.SimilarImages(
                asked, [report.FoundImage(p, m.score) for p, m in zip(near, matches, strict=True)]
            )
        )
    return alike


def _words(
    model: Model, tell: Callable[[str], None]
) -> tuple[list[report.SimilarWords], list[report.Analogy]]:
    near = [report.SimilarWords(w, similar_words(w, model, 8)) for w in _known(model, WORDS)]
    for one in near:
        tell(f"  {one.word}: {', '.join(found.word for found in one.found)}")
    asked = [abc for abc in ANALOGIES if len(_known(model, abc)) == 3]
    analogies = [report.Analogy(*abc, analogy(*abc, model, 5)) for abc in asked]
    for question in analogies:
        found = ", ".join(one.word for one in question.found)
        tell(f"  {question.a} : {question.b} :: {question.c} : {found}")
    return near, analogies


def _known(model: Model, texts: tuple[str, ...]) -> list[str]:
    """The texts of which the model knows every word: a person's own model may know others."""
    return [text for text in texts if not model.read_text(text).unknown]
