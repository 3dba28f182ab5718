"""`showtell data check`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import Format, Json
from showtell.cli.output import print_json, print_note, print_text
from showtell.wording import counted

PANEL = "Training and evaluation"
SHOWN = 3


def check(
    folder: Annotated[Path, typer.Argument(help="Images with captions: a folder or a caption file.")],
    format: Format = None,
    json: Json = False,
) -> None:
    """Check a data set: what it holds, what is wrong and how to fix it; exit status 1 if anything is."""
    from showtell.data.check import alike, check_data
    from showtell.datasets.unknown import unknown_words

    report = check_data(folder, format)
    unknown = unknown_words(report.entries)
    splits = {name or "unnamed": count for name, count in report.splits.items()}
    if json:
        counts = unknown and {**vars(unknown), "share": unknown.share}
        facts = {name: value for name, value in vars(report).items() if name != "entries"}
        print_json({**facts, "splits": splits, "unknown": counts})
    else:
        print_text(
            f"{report.path}: {report.format}, {counted(report.images, 'image')}, "
            f"{counted(report.captions, 'caption')}"
        )
        for count, images in report.captions_per_image.items():
            print_text(f"  {counted(images, 'image')} with {counted(count, 'caption')}")
        for name, images in splits.items():
            print_text(f"  {counted(images, 'image')} in the split {name}")
        if unknown:
            print_text(f"  {unknown}")
        for group in alike(report.problems):
            _print_group(group, "")
        for group in alike(report.unused):
            _print_group(group, "not used: ")
        for name, count in report.passed_over.items():
            print_text(f"passed over: {name}" + (f" ({count} times)" if count > 1 else ""))
    if unknown and unknown.advice:
        print_note(f"{unknown.share:.1%} of the validation tokens are unknown: {unknown.advice}")
    if report.problems:
        print_note(counted(len(report.problems), "problem"))
        raise typer.Exit(1)


def _print_group(group: Sequence[object], before: str) -> None:
    """The first three of equal problems, and how many more there are."""
    shown = len(group) if len(group) <= SHOWN + 1 else SHOWN
    for problem in group[:shown]:
        print_text(f"{before}{problem}")
    if len(group) > shown:
        print_text(f"{before}and {len(group) - shown:,} more like these; --json lists all")
