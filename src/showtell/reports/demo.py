"""A demonstration: everything a captioner can do, once, on one folder of images, in one report."""

from __future__ import annotations

import hashlib
import logging
import math
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from showtell.data.images.samples import sample_photographs
from showtell.errors import UsageError, UserError
from showtell.html.maps import ShownImage
from showtell.library.hit import Hit
from showtell.library.search import Library
from showtell.pipelines.engine import engines_of
from showtell.pipelines.index import index
from showtell.pipelines.model import Model, load_model
from showtell.pipelines.search import Searcher
from showtell.pipelines.shipped import shipped_dual_encoder
from showtell.pipelines.words import analogy, similar_words
from showtell.protocols import Captioner, HasTokenEmbeddings
from showtell.reports import report
from showtell.reports.documents import drawn_documents
from showtell.reports.map import image_map, images_of, word_map
from showtell.tasks.caption import Caption
from showtell.wording import counted

QUERIES = (
    "a woman smiling",
    "a man with a camera",
    "a motorcycle",
    "a dog running through the grass",
    "一只猫",
)
WORDS = ("boy", "two", "red", "running")
ANALOGIES = (("man", "men", "woman"), ("riding", "sitting", "walking"), ("grass", "green", "sky"))
MAPPED_WORDS, MAPPED_IMAGES, CAPTIONED = 400, 1000, 200
"""With more the report would take minutes to make, or to open."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Demonstration:
    """What a demonstration wrote."""

    report: str
    library: str
    images: int
    skipped: int
    seconds: float


def demo(
    folder: Path | str | None = None,
    output: Path | str = "demo",
    model: Model | None = None,
    *,
    device: str = "auto",
) -> Demonstration:
    """Index a folder, caption, search, compare words, read documents, draw maps; write `output/report.html`.

    The folder defaults to photographs that installed packages carry, copied to `output/photographs`; the
    model to the shipped captioner on `device`, beside which the shipped dual encoder then searches. What is
    found is logged as it comes.

    Raises `UsageError` for a model that is not a captioner with token embeddings, and for the images' own
    folder as the output.
    """
    started = time.monotonic()
    output = Path(output)
    if folder is not None and output.resolve() == Path(folder).resolve():
        raise UsageError(f"the report would lie among the images of {folder}; choose another --output")
    if model:
        model.require(Captioner, HasTokenEmbeddings)
    images = _samples(output / "photographs") if folder is None else Path(folder)
    logger.info("images in %s", images)
    # One library per folder: the images of another folder would stay in it.
    digest = hashlib.sha256(os.fsencode(images.resolve())).hexdigest()
    place = output / f"library-{digest[:8]}"
    indexed = index(images, place, model, device=device)  # looks at the folder before it loads a model
    if not indexed.total:
        raise UserError(f"no image in {images} can be read; {place / 'skipped.jsonl'} says why")
    logger.info("%d images in the library (%.1f s)", indexed.total, indexed.seconds)
    if indexed.skipped:
        logger.info("%d skipped; %s says why", indexed.skipped, place / "skipped.jsonl")
    dual = None if model else shipped_dual_encoder(device)
    model = model or load_model(device=device)
    logger.info("model %s", model.name)
    searcher = Searcher(place, model)
    library = searcher.library
    captioned = _captioned(library, model)
    searches = _searches([*([Searcher(place, dual)] if dual else []), searcher])
    similar_images = _similar_images(library)
    near, analogies = _words(model)
    logger.info("reading documents")
    documents = drawn_documents(output / "documents")
    logger.info("drawing the maps")
    models = f"Captions, words and maps by {model.name}"
    if dual:
        models += f", search by dot by {dual.name}"
    path = output / "report.html"
    report.write_report(
        path,
        title=f"What showtell makes of {counted(len(library), 'image')}",
        model=models,
        images=captioned,
        searches=searches,
        similar_images=similar_images,
        words=near,
        analogies=analogies,
        documents=documents,
        word_map=word_map(model, MAPPED_WORDS),
        image_map=image_map(library, MAPPED_IMAGES),
        seconds=time.monotonic() - started,
    )
    seconds = round(time.monotonic() - started, 1)
    logger.info("done in %s s", seconds)
    return Demonstration(str(path), str(place), len(library), indexed.skipped, seconds)


def _samples(folder: Path) -> Path:
    """Copies of the sample photographs, so that the report names files that can be found."""
    photographs = sample_photographs()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for photograph in photographs:
            shutil.copyfile(photograph, folder / photograph.name)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}; choose another --output") from error
    return folder


def _spaced(count: int, wanted: int) -> list[int]:
    """At most `wanted` of `count` indices, evenly spaced."""
    return np.linspace(0, count - 1, min(wanted, count)).astype(int).tolist()


def _captioned(library: Library, model: Model) -> list[report.CaptionedImage]:
    rows = _spaced(len(library), CAPTIONED)
    captions: list[list[Caption]] = []
    for first in range(0, len(rows), 32):
        captions += model.caption_encoded(library.encoded(rows[first : first + 32]), num=3)
    seen = library.sights(rows)
    found = [
        report.CaptionedImage(image, some, sight)
        for image, some, sight in zip(images_of(library, rows), captions, seen, strict=True)
    ]
    for one in found[:5]:
        best = one.captions[0]
        probability = f"{math.exp(best.logprob_per_token):.0%} per token"
        marked = ", unfamiliar" if one.unfamiliar else ""
        logger.info("  %s: %s (%s%s)", Path(one.image.path).name, best.text, probability, marked)
    unlike = sum(one.unfamiliar for one in found)
    if unlike:
        logger.info(
            "  %d of %s unlike the photographs that %s knows: do not trust what it says of those",
            *(unlike, counted(len(found), "image"), model.name),
        )
    return found


def _searches(searchers: Sequence[Searcher]) -> list[report.Search]:
    asked = [
        (query, searcher, engine)
        for query in QUERIES
        for searcher in searchers
        if _known(searcher.model, (query,))
        for engine in engines_of(searcher.model)
    ]
    searches = []
    for query, searcher, engine in asked:
        started = time.perf_counter()
        answer = searcher.search(query, engine, top=5)
        seconds = time.perf_counter() - started
        images = images_of(searcher.library, [hit.row for hit in answer.hits])
        found = [_found(i, hit) for i, hit in zip(images, answer.hits, strict=True)]
        searches.append(report.Search(query, engine, seconds, found, answer.nothing_alike))
        if answer.hits:
            best = "nothing alike" if answer.nothing_alike else answer.hits[0].path.name
            logger.info('  "%s", %s: %s (%.0f ms)', query, engine, best, 1000 * seconds)
    return searches


def _found(image: ShownImage, hit: Hit) -> report.FoundImage:
    return report.FoundImage(image, hit.score, hit.sight.tags[:1] if hit.sight else [])


def _similar_images(library: Library) -> list[report.SimilarImages]:
    similar = []
    for row in _spaced(len(library), 4):
        matches = [m for m in library.similar(library.vectors()[row], 6) if m.row != row][:5]
        image, *near = images_of(library, [row, *(m.row for m in matches)])
        found = [_found(i, hit) for i, hit in zip(near, matches, strict=True)]
        similar.append(report.SimilarImages(image, found))
    return similar


def _words(model: Model) -> tuple[list[report.SimilarWords], list[report.Analogy]]:
    near = [report.SimilarWords(w, similar_words(w, model, 8)) for w in _known(model, WORDS)]
    for one in near:
        logger.info("  %s: %s", one.word, ", ".join(found.word for found in one.found))
    known = [abc for abc in ANALOGIES if len(_known(model, abc)) == 3]
    analogies = [report.Analogy(*abc, analogy(*abc, model, 5)) for abc in known]
    for relation in analogies:
        found = ", ".join(one.word for one in relation.found)
        logger.info("  %s : %s :: %s : %s", relation.a, relation.b, relation.c, found)
    return near, analogies


def _known(model: Model, texts: tuple[str, ...]) -> list[str]:
    """The texts of which the model knows every word: a model of one's own may know others."""
    return [text for text in texts if not model.read_text(text).unknown]
