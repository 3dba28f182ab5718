"""`showtell map images`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import DEFAULT_LIBRARY, Json, Library, Seed
from showtell.cli.output import print_json, print_text

PANEL = "Images"


def images(
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file; a PNG goes beside it.")],
    library: Library = DEFAULT_LIBRARY,
    limit: Annotated[int, typer.Option(min=1, help="Of more images, evenly spaced ones are drawn.")] = 2000,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Draw the images of a library by the similarity of their vectors (t-SNE)."""
    from showtell.reports.map import map_images

    drawn = map_images(output, library, limit=limit, seed=seed)
    print_json(drawn) if json else print_text(f"{drawn.output}\n{drawn.image}")
