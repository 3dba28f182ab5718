"""`showtell similar`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import (
    DEFAULT_LIBRARY,
    DEFAULT_MAX_PIXELS,
    Device,
    Json,
    Library,
    MaxPixels,
    Model,
    Top,
)
from showtell.cli.results import print_hits

PANEL = "Images"


def similar(
    image: Annotated[Path, typer.Argument(help="An image, in the library or not.")],
    library: Library = DEFAULT_LIBRARY,
    top: Top = 10,
    model: Model = None,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Find the images most similar to an image."""
    from showtell.pipelines.model import load_model
    from showtell.pipelines.search import check_search, similar

    check_search(None, library)
    hits = similar(image, library, load_model(model, device), top, max_pixels=max_pixels)
    print_hits(str(image), hits, library, json)
