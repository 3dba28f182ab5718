"""`showtell export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import Json
from showtell.cli.output import print_json, print_text

PANEL = "Models"


def export(
    model: Annotated[Path, typer.Argument(help="A checkpoint, or the folder of a training run.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")],
    format: Annotated[str, typer.Option("--format", help="huggingface or albef.")] = "huggingface",
    json: Json = False,
) -> None:
    """Convert a checkpoint to a format that other libraries read."""
    from showtell.pipelines.export_model import export_model

    done = export_model(model, output, format=format)
    print_json(done) if json else print_text(done["folder"])
