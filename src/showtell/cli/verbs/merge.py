"""`showtell merge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import Json
from showtell.cli.output import print_json, print_text

PANEL = "Models"


def merge(
    adapter: Annotated[Path, typer.Argument(help="The folder of an adapter, or of the run that trained it.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The checkpoint to write.")],
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", help="Its base; default: where the adapter says it is.", show_default=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Make one checkpoint of an adapter and its base."""
    from showtell.pipelines.merge_adapter import merge_adapter

    done = merge_adapter(adapter, output, model=model)
    print_json(done) if json else print_text(done["model"])
