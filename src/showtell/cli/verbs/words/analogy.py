"""`showtell words analogy`."""

from __future__ import annotations

from showtell.cli.options import Json, Model, Top
from showtell.cli.results import print_words

PANEL = "Texts"


def analogy(a: str, b: str, c: str, top: Top = 10, model: Model = None, json: Json = False) -> None:
    """Find words that are to C as B is to A: man men woman -> women."""
    from showtell.pipelines import words
    from showtell.pipelines.model import load_model

    print_words(words.analogy(a, b, c, load_model(model, "cpu"), top), json)
