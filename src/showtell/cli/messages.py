"""What the library logs and reports while a verb runs: plain lines, and a progress bar on a terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from showtell.cli.output import print_note
from showtell.progress import shown_by


class _StandardError(logging.Handler):
    """Writes each message as plain text, to whatever `sys.stderr` is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        print_note(self.format(record))


@contextmanager
def messages_shown() -> Iterator[None]:
    """Inside the block, log messages and progress of `showtell` go to standard error."""
    logger, handler = logging.getLogger("showtell"), _StandardError()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with _bars() if sys.stderr.isatty() else nullcontext():
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@contextmanager
def _bars() -> Iterator[None]:
    """A bar per piece of work, drawn from the first report on."""
    bars: Any = None
    tasks: dict[str, Any] = {}

    def show(what: str, done: int, total: int, note: str) -> None:
        nonlocal bars
        if bars is None:
            bars = _new_bars()
            bars.start()
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=total)
        bars.update(tasks[what], completed=done, total=total, description=f"{what}  {note}".rstrip())
        if done >= total:
            bars.remove_task(tasks.pop(what))

    try:
        with shown_by(show):
            yield
    finally:
        if bars is not None:
            bars.stop()


def _new_bars() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # results stay on standard output
    )
