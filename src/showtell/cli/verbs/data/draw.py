"""`showtell data draw`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import Json, Seed
from showtell.cli.output import print_json, print_text

PANEL = "Training and evaluation"


def draw(
    output: Annotated[Path, typer.Argument(help="The folder to write.")],
    training: Annotated[int, typer.Option(min=1, help="Images to train on, per kind of licence.")] = 24,
    held_out: Annotated[
        int, typer.Option(min=1, help="Images of templates that are held out, per kind of licence.")
    ] = 5,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Draw images of invented Chinese licences with what they say, to train and evaluate readers.

    Twelve kinds, one to three licences per image, twenty templates per kind, of which two are held out: in a
    layout that the kind has nowhere else. No name is a person's, and no number is in use.
    """
    from showtell.data.documents.licences.draw import draw_data_set

    images = draw_data_set(output, training, held_out, seed)
    done = {"data": output, "images": images}
    print_json(done) if json else print_text(str(output))
