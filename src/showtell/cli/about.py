"""The verbs for newcomers: demo, env."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import Device, Json, ModelPath
from showtell.cli.output import emit, pairs, say, table, text


def demo(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="A folder of images; without it, photographs that installed packages carry.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where the report and the library go.")
    ] = Path("demo"),
    model: ModelPath = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """See everything once: captions, searches, similar images and words, maps, in one HTML report."""
    from showtell.pipelines.model import load_model
    from showtell.reports.demo import demo

    shown = demo(folder, output, load_model(model, device), tell=say)
    if json:
        emit(shown)
    else:
        text(shown.report)


def env(json: Json = False) -> None:
    """Versions and hardware, for a bug report."""
    from showtell.pipelines.environment import environment

    facts = environment()
    if json:
        emit(facts)
    else:
        table(["what", "value"], list(pairs(facts)))
