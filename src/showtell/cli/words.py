"""The verbs for words, and the maps."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from showtell.cli.options import DEFAULT_LIBRARY, Json, LibraryPath, ModelPath, Seed, Top
from showtell.cli.output import emit, table, text

if TYPE_CHECKING:
    from showtell.tasks.words import WordScore

Output = Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write, with a PNG beside it.")]


def similar(
    word: Annotated[str, typer.Argument(help="One word.")],
    top: Top = 10,
    model: ModelPath = None,
    json: Json = False,
) -> None:
    """Words that the model uses like this one."""
    from showtell.pipelines import words
    from showtell.pipelines.model import load_model

    _show(words.similar(word, load_model(model, "cpu"), top), json)


def analogy(a: str, b: str, c: str, top: Top = 10, model: ModelPath = None, json: Json = False) -> None:
    """Words that are to C as B is to A: man men woman -> women."""
    from showtell.pipelines import words
    from showtell.pipelines.model import load_model

    _show(words.analogy(a, b, c, load_model(model, "cpu"), top), json)


def map_words(
    output: Output,
    limit: Annotated[int, typer.Option(min=2, help="How many of the most frequent words.")] = 1000,
    seed: Seed = 0,
    model: ModelPath = None,
    json: Json = False,
) -> None:
    """A map of the most frequent words; near means alike."""
    from showtell.pipelines.model import load_model
    from showtell.reports import map

    _drawn(map.words(output, load_model(model, "cpu"), limit=limit, seed=seed), json)


def map_images(
    output: Output,
    library: LibraryPath = DEFAULT_LIBRARY,
    limit: Annotated[int, typer.Option(min=1, help="Of more images, evenly spaced ones.")] = 2000,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """A map of a library's images; near means alike."""
    from showtell.reports import map

    _drawn(map.images(output, library, limit=limit, seed=seed), json)


def _show(found: Iterable[WordScore], json: bool) -> None:
    if json:
        for near in found:
            emit(near)
    else:
        table(["word", "score"], [(near.word, near.score) for near in found])


def _drawn(drawn: Any, json: bool) -> None:
    if json:
        emit(drawn)
    else:
        text(drawn.output)
        text(drawn.image)
