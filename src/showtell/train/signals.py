"""SIGINT and SIGTERM as a request to stop at the next safe moment."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from showtell.errors import UserError


class Interrupted(UserError):
    """A signal stopped the run and its state is saved; exit status 128 + the signal's number."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_status = 128 + signal_number


class StopRequest(BaseException):
    """Raised inside the loop alone. Not an `Exception`, so that no validation swallows it."""


class Signals:
    """While entered, a first SIGINT or SIGTERM waits for `check`; a second one ends the process as ever.

    One of `several` processes waits after the second too: `torchrun` hands on to each what a terminal has
    sent to all, and kills what has not ended after half a minute. Signals that the process was told to
    ignore stay ignored. Outside the main thread nothing is caught.
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
        """Raise `StopRequest` if a signal has come."""
        if self.received:
            raise StopRequest

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """For long work that changes nothing, such as a validation: a signal need not wait for its end."""
        self.check()
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False
