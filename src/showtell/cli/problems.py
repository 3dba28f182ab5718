"""What `showtell data check` found to be wrong, and the exit status; the check of region files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from showtell.cli.output import print_json, print_note, print_text
from showtell.wording import counted, listed

if TYPE_CHECKING:
    from showtell.data.captions.entry import Problem

SHOWN = 3
"""Of equal problems, those that are printed."""


def print_problems(problems: Sequence[Problem], before: str = "") -> None:
    """Problems, of those that are alike the first three and how many more there are."""
    from showtell.data.check import alike

    for group in alike(problems):
        shown = len(group) if len(group) <= SHOWN + 1 else SHOWN
        for problem in group[:shown]:
            print_text(f"{before}{problem}")
        if len(group) > shown:
            print_text(f"{before}and {len(group) - shown:,} more like these; --json lists all")


def exit_for(problems: Sequence[Problem]) -> None:
    """Count the problems on standard error and leave with exit status 1, if there are any."""
    if problems:
        print_note(counted(len(problems), "problem"))
        raise typer.Exit(1)


def check_regions(path: Path, data: Path | None, format: str | None, json: bool) -> None:
    """Check a file of regions, and, with `data`, that its images are those; exit status 1 for problems."""
    from showtell.datasets.regions import images_of_data, region_file, region_problems, unread_regions

    images = None if data is None else images_of_data(data, format)
    file = region_file(path)
    problems = region_problems(file, images)
    unread = [] if images is None else unread_regions(file, images)
    if json:
        about = {"images": len(file), "feature_width": file.width, "not_in_the_data": unread}
        print_json({"path": path, "format": file.format, **about, "problems": problems})
    else:
        of_images = f"regions of {counted(len(file), 'image')}"
        print_text(f"{path}: {file.format}, {of_images}, {file.width} numbers per region")
        if unread:
            print_text(f"  {counted(len(unread), 'image')} that the data does not have: {listed(unread, 3)}")
        print_problems(problems)
    exit_for(problems)
