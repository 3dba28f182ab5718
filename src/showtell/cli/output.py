"""Results to standard output, as JSON Lines or for people; everything else to standard error."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from showtell.progress import progress_lines

Progress = Callable[[int, int], None]


def say(message: str) -> None:
    """One line to the person, on standard error."""
    print(message, file=sys.stderr, flush=True)


def complain(error: object) -> None:
    """One line that begins with the program's name, on standard error."""
    say(f"showtell: {error}")


def emit(record: Any) -> None:
    """One JSON object, a mapping or a dataclass, on one line, at once."""
    print(json.dumps(record, ensure_ascii=False, default=_plain), flush=True)


def text(line: str = "") -> None:
    """One line for people, at once."""
    print(line, flush=True)


def table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Rows for people: numbers to the right, nothing cut short."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(names):
        numeric = all(isinstance(row[place], int | float) for row in rows)
        shown.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text(f"{v:.3f}" if isinstance(v, float) else str(v)) for v in row))
    if sys.stdout.isatty():
        Console().print(shown)
        return
    console = Console(width=10_000, no_color=True, highlight=False, force_terminal=False)
    with console.capture() as captured:
        console.print(shown)
    for line in captured.get().splitlines():
        text(line.rstrip())


def pairs(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings as dotted names with their values."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from pairs(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


@contextmanager
def progress(what: str) -> Iterator[Progress]:
    """A bar on a terminal, else a line every ten seconds, on standard error."""
    if not sys.stderr.isatty():
        yield progress_lines(what)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")
