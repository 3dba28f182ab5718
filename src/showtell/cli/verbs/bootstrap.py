"""`showtell bootstrap`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.input import Failures
from showtell.cli.options import DEFAULT_MAX_PIXELS, Device, Format, Json, MaxPixels, Seed
from showtell.cli.output import print_json, print_text

PANEL = "Training and evaluation"


def bootstrap(
    data: Annotated[
        Path, typer.Argument(help="Images, with captions or without: a folder or a caption file.")
    ],
    filter: Annotated[str, typer.Option(help="A model that scores pairs, such as a trained blip_mini.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A new folder for the data set.")],
    captioner: Annotated[
        str | None,
        typer.Option(help="A model that describes images; default: the shipped one.", show_default=False),
    ] = None,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Keep captions that match with at least this probability.")
    ] = 0.5,
    num: Annotated[int, typer.Option(min=1, max=1000, help="Captions to sample per image.")] = 1,
    seed: Seed = 0,
    format: Format = None,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Write captions of images by one model, and keep those that another believes: a data set for training.

    The captions of the data are filtered too. Both probabilities stand beside each caption; what is dropped
    is in the folder dropped. A call that was stopped goes on where it was.
    """
    from showtell.pipelines.bootstrap import bootstrap
    from showtell.pipelines.model import load_model

    failures = Failures()
    found = bootstrap(
        data,
        output,
        load_model(captioner, device),
        load_model(filter, device),
        threshold=threshold,
        num=num,
        seed=seed,
        format=format,
        max_pixels=max_pixels,
        skip=failures,
    )
    if json:
        print_json(found)
    else:
        print_text(
            f"{found['output']}: {found['images']} images; kept {found['kept']['data']} captions of the data "
            f"and {found['kept']['captioner']} of the captioner, dropped {found['dropped']['data']} and "
            f"{found['dropped']['captioner']}"
        )
    failures.exit()
