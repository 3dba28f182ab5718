"""`showtell data check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import Format, Json
from showtell.cli.output import print_json, print_note, print_text
from showtell.wording import counted

PANEL = "Training and evaluation"


def check(
    folder: Annotated[Path, typer.Argument(help="Images with captions: a folder or a caption file.")],
    format: Format = None,
    json: Json = False,
) -> None:
    """Check a data set: what it holds, what is wrong and how to fix it; exit status 1 if anything is."""
    from showtell.data.check import check_data

    report = check_data(folder, format)
    splits = {name or "unnamed": count for name, count in report.splits.items()}
    if json:
        print_json({**vars(report), "splits": splits})
    else:
        print_text(
            f"{report.path}: {report.format}, {counted(report.images, 'image')}, "
            f"{counted(report.captions, 'caption')}"
        )
        for count, images in report.captions_per_image.items():
            print_text(f"  {counted(images, 'image')} with {counted(count, 'caption')}")
        for name, images in splits.items():
            print_text(f"  {counted(images, 'image')} in the split {name}")
        for problem in report.problems:
            print_text(problem)
    if report.problems:
        print_note(counted(len(report.problems), "problem"))
        raise typer.Exit(1)
