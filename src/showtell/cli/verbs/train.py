"""`showtell train`."""

from __future__ import annotations

from os import environ
from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import Data, Device, Format, Json, Seed
from showtell.cli.output import print_json, print_text

PANEL = "Training and evaluation"


def train(
    recipe: Annotated[
        str, typer.Argument(help="Its name, such as show_and_tell or simsiam; a wrong one lists all.")
    ],
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder of the run.")],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Change a setting, such as train.steps=200; repeat for more.", metavar="NAME=VALUE"
        ),
    ] = None,
    format: Format = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue where the run stopped.")] = False,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Train a recipe on your own data.

    Ctrl-C saves the run and stops; --resume continues to exactly the same result.
    """
    from showtell.recipes.launch import train_model

    reached = train_model(recipe, data, output, settings or [], resume, seed, device, format)
    if environ.get("RANK", "0") != "0":
        return  # under torchrun, one process prints
    print_json(reached) if json else print_text(reached["model"])
