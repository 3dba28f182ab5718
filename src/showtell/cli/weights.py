"""The verbs for pretrained weights: import, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import Json
from showtell.cli.output import emit, text


def import_(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder in the Hugging Face layout; the id of a model on the Hugging Face hub; or "
            "all-MiniLM-L6-v2 or efficientnet_lite0, which packages carry."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the checkpoint goes.")],
    download: Annotated[
        bool, typer.Option("--download", help="Fetch an id that is not on this machine.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a checkpoint of pretrained weights: BERT, RoBERTa, GPT-2, ViT, DINOv2, CLIP, SigLIP."""
    from showtell.pipelines.import_model import import_model

    done = import_model(source, output, download=download)
    if json:
        emit(done)
    else:
        text(done["model"])


def export(
    model: Annotated[Path, typer.Argument(help="A checkpoint, or the folder of a training run.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")],
    format: Annotated[str, typer.Option("--format", help="huggingface.")] = "huggingface",
    json: Json = False,
) -> None:
    """Write a checkpoint so that other libraries read it."""
    from showtell.pipelines.export_model import export_model

    done = export_model(model, output, format=format)
    if json:
        emit(done)
    else:
        text(done["folder"])
