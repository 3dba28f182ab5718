"""Say how far something long is, for those who watch no bar."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable


def progress_lines(what: str) -> Callable[[int, int], None]:
    """A function of how much is done and how much there is: every ten seconds, a line on standard error."""
    last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= 10:
            last = time.monotonic()
            print(f"{what}: {done} of {total}", file=sys.stderr, flush=True)

    return tell
