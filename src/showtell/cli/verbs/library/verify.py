"""`showtell library verify`."""

from __future__ import annotations

import typer

from showtell.cli.options import DEFAULT_LIBRARY, Json, Library
from showtell.cli.output import print_json, print_note, print_text
from showtell.wording import index_command, one_line

PANEL = "Images"


def verify(library: Library = DEFAULT_LIBRARY, json: Json = False) -> None:
    """Compare a library with its images and change nothing; exit status 1 if anything is wrong."""
    from showtell.library.verify import verify

    problems = verify(library)
    for problem in problems:
        print_json(problem) if json else print_text(f"{one_line(problem.path)}: {problem.what}")
    if problems:
        print_note(f"to repair: {index_command(library)}, and with --rebuild where that does not help")
        raise typer.Exit(1)
    print_note(f"{library}: no problems")
