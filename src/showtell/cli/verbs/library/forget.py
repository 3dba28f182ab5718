"""`showtell library forget`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import DEFAULT_LIBRARY, Json, Library
from showtell.cli.output import print_json, print_note

PANEL = "Images"


def forget(
    model: Annotated[
        str, typer.Argument(help="The name of the model, such as clip@0123456789ab, or its folder.")
    ],
    library: Library = DEFAULT_LIBRARY,
    json: Json = False,
) -> None:
    """Drop the vectors and captions of one model; the images and other models' vectors stay."""
    from showtell.library.forget import forget
    from showtell.pipelines.model import load_model

    name = load_model(model, "cpu").name if Path(model).is_dir() else model
    forget(library, name)
    if json:
        print_json({"library": library, "forgotten": name})
    else:
        print_note(f"{library}: the vectors of {name} were dropped")
