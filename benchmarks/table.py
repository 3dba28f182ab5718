"""Results as a Markdown table under the command that made them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence


def command() -> None:
    """The command line, for whoever wants to see the figures again."""
    print(f"$ python {' '.join(sys.argv)}")


def table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """One table with an empty line after it."""
    for cells in (names, ["---"] * len(names), *rows):
        print(f"| {' | '.join(map(str, cells))} |")
    print(flush=True)
