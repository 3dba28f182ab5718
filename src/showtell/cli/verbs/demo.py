"""`showtell demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import Device, Json, Model
from showtell.cli.output import print_json, print_text


def demo(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="A folder of images; default: photographs that installed packages carry.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder for the report and the library.")
    ] = Path("demo"),
    model: Model = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Show everything once: captions, searches, similar images and words, maps, in one HTML report."""
    from showtell.pipelines.model import load_model
    from showtell.reports.demo import demo

    shown = demo(folder, output, load_model(model, device) if model else None, device=device)
    print_json(shown) if json else print_text(shown.report)
