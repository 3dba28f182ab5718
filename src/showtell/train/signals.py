"""SIGINT and SIGTERM as a request to stop at the next safe point of a run."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from showtell.errors import UserError


class Interrupted(UserError):
    """A signal stopped the run after saving it; exit status 128 + the signal's number."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_status = 128 + signal_number


class StopRequest(BaseException):
    """Raised inside the loop only. Not an `Exception`, so that a validation cannot swallow it."""


class Signals:
    """Inside the block, a first SIGINT or SIGTERM waits for `check`; a second one ends the process as usual.

    With `several` processes the second one waits too: `torchrun` forwards to each process what the terminal
    has already sent to all, and kills those that have not ended after half a minute. Signals that the process
    ignores stay ignored. Outside the main thread nothing is caught. The previous handlers are put back.
    """

    def __init__(self, several: bool = False) -> None:
        self.received = 0
        self._several = several
        self._at_once = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        while self._before:
            signal.signal(*self._before.popitem())

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = self.received or number
        if not self._several:
            self.__exit__()
        if self._at_once:
            raise StopRequest

    def check(self) -> None:
        """Raise `StopRequest` if a signal has been received."""
        if self.received:
            raise StopRequest

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """For long work without side effects, such as a validation: a signal interrupts it at once."""
        self.check()
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False
