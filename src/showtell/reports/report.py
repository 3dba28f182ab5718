"""What a model makes of a folder of images, as one HTML file that needs no network."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from showtell.html.page import ImageMap, ShownImage, WordMap, map_figure, thumbnail, write_page

if TYPE_CHECKING:
    from showtell.tasks.caption import Caption
    from showtell.tasks.words import WordScore


@dataclass(frozen=True)
class Told:
    """An image and what the model says of it, best first."""

    image: ShownImage
    captions: Sequence[Caption]


@dataclass(frozen=True)
class Found:
    """An image that a search found."""

    image: ShownImage
    score: float


@dataclass(frozen=True)
class Search:
    """A description and the images that one engine found for it, best first."""

    query: str
    engine: str
    seconds: float
    found: Sequence[Found]


@dataclass(frozen=True)
class Alike:
    """An image and those most similar to it, nearest first."""

    image: ShownImage
    found: Sequence[Found]


@dataclass(frozen=True)
class SimilarWords:
    """A word and those most similar to it, nearest first."""

    word: str
    found: Sequence[WordScore]


@dataclass(frozen=True)
class Analogy:
    """`a` is to `b` as `c` is to the words found, best first."""

    a: str
    b: str
    c: str
    found: Sequence[WordScore]


def write_report(
    path: Path,
    *,
    title: str,
    model: str,
    images: Sequence[Told] = (),
    searches: Sequence[Search] = (),
    similar_images: Sequence[Alike] = (),
    words: Sequence[SimilarWords] = (),
    analogies: Sequence[Analogy] = (),
    word_map: WordMap | None = None,
    image_map: ImageMap | None = None,
    seconds: float | None = None,
) -> None:
    """Write the report; a part without content is left out. `seconds` is what the whole run took.

    Raises `UsageError` when `path` does not end in `.html`, `UserError` when it cannot be written.
    """
    parts = [
        ("captions", "What it says", _CAPTIONS, _captions(images)),
        ("searches", "Search by description", _SEARCHES, "".join(map(_search, searches))),
        ("similar", "Similar images", _SIMILAR, "".join(map(_alike, similar_images))),
        ("words", "Similar words", _WORDS, _grid(map(_similar_words, words))),
        ("analogies", "Analogies", _ANALOGIES, _analogies(analogies)),
        ("image-map", "Map of images", _IMAGE_MAP, map_figure(image_map) if image_map else ""),
        ("word-map", "Map of words", _WORD_MAP, map_figure(word_map) if word_map else ""),
    ]
    parts = [part for part in parts if part[-1]]
    facts = [
        f"Model {escape(model)}",
        f"{len(images)} image{'s' * (len(images) != 1)}" if images else "",
        _duration(seconds) if seconds is not None else "",
    ]
    links = "".join(f'<a href="#{name}">{heading}</a>' for name, heading, *_ in parts)
    sections = "\n".join(
        f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{heading}</h2>\n'
        f'<p class="soft">{about}</p>\n{content}</section>'
        for name, heading, about, content in parts
    )
    body = (
        f'<header><h1>{escape(title)}</h1>\n<p class="soft">{" · ".join(filter(None, facts))}</p>\n'
        f'<nav aria-label="Sections">{links}</nav></header>\n<main>\n{sections}\n</main>'
    )
    write_page(path, title, body)


_SHOWN = 20
_CAPTIONS = (
    "The best caption of each image, then the next ones. The figure is the probability that the model gave "
    "each word, on geometric average: under about 15 % it is guessing."
)
_SEARCHES = "Images found for a description, best first. Scores compare images within one search."
_SIMILAR = "Beside each image, those nearest to it by the cosine of the model's representations."
_WORDS = "Words that the captioner learned to use alike, by the cosine of its word vectors."
_ANALOGIES = "For a : b :: c, the word nearest to b − a + c, and the next ones."
_IMAGE_MAP = "Every image, laid out by t-SNE of the model's representations."
_WORD_MAP = "The most frequent words, laid out by t-SNE of the model's word vectors."


def _grid(cards: Iterable[str]) -> str:
    content = "\n".join(f'<li class="card">{card}</li>' for card in cards)
    return f'<ul class="grid">\n{content}\n</ul>' if content else ""


def _captions(images: Sequence[Told]) -> str:
    first, rest = (_grid(map(_told, part)) for part in (images[:_SHOWN], images[_SHOWN:]))
    more = f"<details><summary>{len(images) - _SHOWN} more</summary>{rest}</details>" if rest else ""
    return first + more


def _told(told: Told) -> str:
    sentences = "".join(
        f'<p class="sentence">{escape(caption.text) or "(no words)"} '
        f'<span class="sure" title="log-probability per word {caption.logprob_per_word:.2f}">'
        f"{math.exp(min(caption.logprob_per_word, 0)):.0%}</span></p>"
        for caption in told.captions
    )
    name = escape(told.image.path.replace("\\", "/").rsplit("/", 1)[-1])
    return f'{thumbnail(told.image)}<div>{sentences}<span class="path">{name}</span></div>'


def _search(search: Search) -> str:
    heading = (
        f'<h3>“{escape(search.query)}” <span class="engine">{escape(search.engine)}</span> '
        f"<small>{_duration(search.seconds)}</small></h3>"
    )
    results = "".join(map(_found, search.found)) or '<li class="soft">Nothing found.</li>'
    return f'<div class="row">{heading}<ol class="strip">{results}</ol></div>\n'


def _alike(alike: Alike) -> str:
    asked = f'<li class="asked">{thumbnail(alike.image)}<small>this image</small></li>'
    return f'<div class="row"><ol class="strip">{asked}{"".join(map(_found, alike.found))}</ol></div>\n'


def _found(found: Found) -> str:
    return f"<li>{thumbnail(found.image)}<small>{found.score:.3f}</small></li>"


def _similar_words(similar: SimilarWords) -> str:
    rows = "".join(
        f'<li style="--score:{min(max(near.score, 0), 1):.3f}"><span>{escape(near.word)}</span>'
        f"<span>{near.score:.2f}</span></li>"
        for near in similar.found
    )
    return f'<div><h3>{escape(similar.word)}</h3><ol class="neighbours">{rows}</ol></div>'


def _analogies(analogies: Sequence[Analogy]) -> str:
    rows = "".join(
        f"<tr><th scope=row>{escape(q.a)} : {escape(q.b)} :: {escape(q.c)} : ?</th><td>"
        + ", ".join(
            f"<b>{escape(near.word)}</b> {near.score:.2f}" if place == 0 else escape(near.word)
            for place, near in enumerate(q.found)
        )
        + "</td></tr>\n"
        for q in analogies
    )
    return f"<table><tbody>\n{rows}</tbody></table>" if rows else ""


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
