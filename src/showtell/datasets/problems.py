"""Say what is wrong with images and captions that were read, on standard error."""

from __future__ import annotations

import sys
from pathlib import Path

from showtell.data.captions.entry import Source
from showtell.wording import counted


def tell_problems(data: Path, source: Source) -> None:
    """One line: how many problems, the first, and the command that lists all; nothing where none is."""
    if source.problems:
        print(
            f"{counted(len(source.problems), 'problem')}, the first: {source.problems[0].what}; "
            f"`showtell data check {data}` lists them",
            file=sys.stderr,
        )
