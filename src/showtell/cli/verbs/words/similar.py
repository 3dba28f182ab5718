"""`showtell words similar`."""

from __future__ import annotations

from typing import Annotated

import typer

from showtell.cli.options import Json, Model, Top
from showtell.cli.results import print_words

PANEL = "Texts"


def similar(
    word: Annotated[str, typer.Argument(help="One word.")],
    top: Top = 10,
    model: Model = None,
    json: Json = False,
) -> None:
    """Find the words with the most similar embeddings."""
    from showtell.pipelines.model import load_model
    from showtell.pipelines.words import similar_words

    print_words(similar_words(word, load_model(model, "cpu"), top), json)
