"""Ways that take turns, each in a process of its own: no settings and no freed memory of one serve another.

Ours, whose names begin with `showtell`, call `prepare_process` of `showtell.runtime`, as every command does;
the threads of others wait as they do by default.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any
from unittest.mock import patch

import torch

from showtell.runtime import WAITING

Way = Callable[[], Any]


class Turns:
    """Ways that wait in their processes until it is their turn."""

    def __init__(self, calls: Mapping[str, Connection]) -> None:
        self._calls = calls
        self.values: dict[str, Any] = {}
        """What each way returned the last time."""

    def take(self) -> dict[str, float]:
        """Seconds of each way, one after the other."""
        seconds = {}
        for name, call in self._calls.items():
            call.send(True)
            seconds[name], self.values[name] = call.recv()
        return seconds

    def medians(self, rounds: int) -> dict[str, float]:
        """Median seconds of each way."""
        taken = [self.take() for _ in range(rounds)]
        return {name: statistics.median(one[name] for one in taken) for name in self._calls}


@contextmanager
def turns(
    makers: Mapping[str, Callable[[], Way]], clock: Callable[[], float] = time.perf_counter
) -> Iterator[Turns]:
    """The ways that functions, such as `partial`s of a module's, make in processes of their own."""
    processes, calls = get_context("spawn"), {}
    for name, make in makers.items():
        calls[name], theirs = processes.Pipe()
        process = processes.Process(
            target=_serve, args=(make, clock, torch.get_num_threads(), theirs), daemon=True
        )
        # What OpenMP reads has to be there before the process imports torch.
        with patch.dict(os.environ, WAITING if name.startswith("showtell") else {}):
            process.start()
    yield Turns(calls)
    for call in calls.values():
        call.send(False)


def _serve(make: Callable[[], Way], clock: Callable[[], float], threads: int, calls: Connection) -> None:
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    way = make()
    while calls.recv():
        started = clock()
        value = way()
        calls.send((clock() - started, value))
