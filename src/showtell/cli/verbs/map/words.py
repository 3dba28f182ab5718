"""`showtell map words`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import Json, Model, Seed
from showtell.cli.output import print_json, print_text

PANEL = "Images"


def words(
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file; a PNG goes beside it.")],
    limit: Annotated[int, typer.Option(min=2, help="How many of the most frequent words.")] = 1000,
    seed: Seed = 0,
    model: Model = None,
    json: Json = False,
) -> None:
    """Draw the most frequent words by the similarity of their embeddings (t-SNE)."""
    from showtell.pipelines.model import load_model
    from showtell.reports.map import map_words

    drawn = map_words(output, load_model(model, "cpu"), limit=limit, seed=seed)
    print_json(drawn) if json else print_text(f"{drawn.output}\n{drawn.image}")
