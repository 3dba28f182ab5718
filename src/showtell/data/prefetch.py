"""A map in threads that runs ahead of its consumer."""

from __future__ import annotations

import ctypes
import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(function: Callable[[Item], Result], items: Iterable[Item], ahead: int = 64) -> Generator[Result]:
    """`map` in threads, in order, with at most `ahead` results waiting: reading overlaps with the network.

    >>> list(prefetch(str.upper, "abc"))
    ['A', 'B', 'C']
    """
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(os.cpu_count(), initializer=_start_no_threads) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) >= ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _start_no_threads() -> None:
    """Keep a worker thread from starting threads of its own, in torch and the libraries below it.

    With more threads than cores, GNU's OpenMP puts those that wait at a barrier to sleep, and a training step
    of many small operations spends its time waking them (`benchmarks/preparing.py`).
    """
    if "torch" not in sys.modules:  # not worth importing just to read files
        return
    import torch
    from threadpoolctl import threadpool_limits

    torch.get_num_threads()  # the first call in a thread sets the number that is limited next
    threadpool_limits(1, user_api="openmp")
    with suppress(OSError, AttributeError):  # MKL, where torch has it, keeps a number of its own
        ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so")).MKL_Set_Num_Threads_Local(1)
