"""Options that several verbs share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Engine(StrEnum):
    """The ways to find an image by description."""

    likelihood = "likelihood"
    inversion = "inversion"
    captions = "captions"
    dot = "dot"


Json = Annotated[bool, typer.Option("--json", help="JSON Lines on standard output.")]
ModelPath = Annotated[
    Path | None,
    typer.Option(
        "--model",
        "-m",
        envvar="SHOWTELL_MODEL",
        help="A checkpoint, or the folder of a training run; without it, the shipped model.",
        show_default=False,
    ),
]
LibraryPath = Annotated[
    Path,
    typer.Option("--library", "-l", envvar="SHOWTELL_LIBRARY", help="The folder of the library."),
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Top = Annotated[int, typer.Option("--top", "-n", min=1, help="How many to show.")]
Seed = Annotated[int, typer.Option(min=0, help="Where chance begins: the same seed, the same result.")]
MaxPixels = Annotated[int, typer.Option(min=1, help="Refuse larger images before decoding them.")]
DEFAULT_LIBRARY = Path("library")
# Equal to `data.image.MAX_PIXELS`, whose import would load Pillow for `--help`.
DEFAULT_MAX_PIXELS = 100_000_000
