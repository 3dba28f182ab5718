"""Results as a Markdown table below the command that made them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import chain


def command() -> None:
    """Print the command line that reproduces the figures."""
    print(f"$ python {' '.join(sys.argv)}")


def table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print one table, each row once it is known, and an empty line."""
    for cells in chain((names, ["---"] * len(names)), rows):
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
    print(flush=True)
