"""Progress of long work: reported from anywhere, displayed by whoever started the work.

    report("encoding images", 32, 1000)          # in the library, as often as convenient
    with shown_by(bar): evaluate(...)            # in the command line, which draws a bar

Without a display, a line is logged every ten seconds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

logger = logging.getLogger(__name__)

Display = Callable[[str, int, int, str], None]
"""Called with the name of the work, how much is done, how much there is, and a note such as the loss."""

INTERVAL = 10.0
"""Seconds between logged lines."""


def logged(interval: float = INTERVAL) -> Display:
    """A display that logs at most one line per `interval` seconds, with an estimate of the time left.

    Work that takes less than the interval is not mentioned.
    """
    started: dict[str, tuple[float, int]] = {}
    last: dict[str, float] = {}

    def show(what: str, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        began, first = started.setdefault(what, (now, done))
        if now - last.setdefault(what, now) >= interval:
            last[what] = now
            parts = [f"{what}: {done} of {total}", *filter(None, [note])]
            if done > first:
                minutes = (now - began) / (done - first) * (total - done) / 60
                parts.append(f"{minutes:.1f} min left")
            logger.info("  ".join(parts))
        if done >= total:
            del started[what], last[what]

    return show


_display: ContextVar[Display | None] = ContextVar("display", default=None)
_logged = logged()


def report(what: str, done: int, total: int, note: str = "") -> None:
    """Show on the current display how much of the work called `what` is done."""
    (_display.get() or _logged)(what, done, total, note)


@contextmanager
def shown_by(display: Display) -> Iterator[None]:
    """Reports inside the block go to `display`."""
    token = _display.set(display)
    try:
        yield
    finally:
        _display.reset(token)
