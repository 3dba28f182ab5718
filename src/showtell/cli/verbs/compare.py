"""`showtell compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import Device, Format, Json
from showtell.cli.output import print_json, print_note, print_table

PANEL = "Training and evaluation"


def compare(
    models: Annotated[
        list[str],
        typer.Argument(help="Checkpoints, folders of training runs, or names that `showtell models` lists."),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            "-d",
            help="Images with captions, for models that find images: a folder or a caption file.",
            show_default=False,
        ),
    ] = None,
    questions: Annotated[
        Path | None,
        typer.Option(help="Questions about images, for models that answer.", show_default=False),
    ] = None,
    split: Annotated[str, typer.Option(help="The split of the data to compare on.")] = "val",
    format: Format = None,
    images: Annotated[int, typer.Option(min=2, help="How many images, each with its first caption.")] = 100,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="A folder for compare.json, .md, .png and .html.",
            show_default=False,
        ),
    ] = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Compare models that bring images and texts together: parameters, FLOPs, milliseconds of text, image and
    fusion for one pair, and how well captions find their images, or how many questions are answered right."""
    from showtell.evaluation.compare import compare
    from showtell.evaluation.comparison_files import rows_of, write_comparison
    from showtell.pipelines.model import load_model

    loading = (load_model(name, device) for name in models)
    found = compare(loading, data, split, format=format, images=images, questions=questions)
    if output:
        print_note(f"written: {', '.join(map(str, write_comparison(output, found)))}")
    if json:
        for one in found:
            print_json(one)
    else:
        print_table(*rows_of(found))
