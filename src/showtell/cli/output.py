"""Results on standard output, as JSON Lines or for people; everything else on standard error."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from showtell.wording import one_line


def print_note(message: object) -> None:
    """One line on standard error."""
    print(message, file=sys.stderr, flush=True)


def print_error(error: object) -> None:
    """One line on standard error that begins with the program's name."""
    print_note(f"showtell: {error}")


def _print(text: object, end: str = "\n", file: TextIO | None = None) -> None:
    """Flushed, so that an error of a full disk is raised here, where what could not be written is known."""
    try:
        print(text, end=end, file=file, flush=True)
    except OSError as error:
        if file is None:
            error.filename = "standard output"
        raise


def print_json(record: Any) -> None:
    """A mapping or a dataclass as one JSON object on one line, flushed."""
    _print(json.dumps(record, ensure_ascii=False, default=_plain))


def print_indented(value: Any) -> None:
    """A value as JSON for people, over several lines, flushed."""
    _print(json.dumps(value, ensure_ascii=False, indent=2))


def print_text(line: object = "") -> None:
    """One line of a result for people, flushed."""
    _print(line)


def print_part(text: str, file: TextIO | None = None) -> None:
    """A part of a line, flushed: on standard output, or in another file."""
    _print(text, end="", file=file)


def print_table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Rows for people, each on one line: numbers aligned right, nothing truncated."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column, name in enumerate(names):
        numeric = all(isinstance(row[column], int | float) for row in rows)
        shown.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text(f"{v:.3f}" if isinstance(v, float) else one_line(v)) for v in row))
    if sys.stdout.isatty():
        Console().print(shown)
        return
    console = Console(width=10_000, no_color=True, highlight=False, force_terminal=False)
    with console.capture() as captured:
        console.print(shown)
    for line in captured.get().splitlines():
        print_text(line.rstrip())


def flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings as dotted names with their values."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
