"""`showtell import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import Json
from showtell.cli.output import print_json, print_text

PANEL = "Models"


def import_(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder in the Hugging Face layout, the id of a model on the Hugging Face hub, a name "
            "that `showtell models` lists, or ALBEF's published .pth with BERT's vocab.txt beside it."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The checkpoint to write.")],
    download: Annotated[
        bool, typer.Option("--download", help="Download an id that is not on this machine.")
    ] = False,
    json: Json = False,
) -> None:
    """Convert pretrained weights to a checkpoint."""
    from showtell.pipelines.import_model import import_model

    done = import_model(source, output, download=download)
    print_json(done) if json else print_text(done["model"])
