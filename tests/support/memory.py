"""The memory of this process, read from Linux's /proc."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from showtell.runtime import give_back_freed_memory

Result = TypeVar("Result")


THP_DISABLE = 41
"""`PR_SET_THP_DISABLE` of Linux's `prctl.h`."""


def resident(which: str) -> float:
    """MiB of a line of /proc/self/status: `VmRSS`, or `VmHWM`, the most since it was last cleared."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which)) / 1024


def keep_small_pages() -> None:
    """Let the kernel give this process pages of 4 KiB alone.

    NumPy asks for those of 2 MiB, and the kernel fills them up again, at any time, where freed memory was
    given back: the resident set then moves by megabytes that nobody took.
    """
    ctypes.CDLL(None).prctl(THP_DISABLE, 1, 0, 0, 0)


def peak_of(run: Callable[[], Result]) -> tuple[Result, float | None]:
    """What a function returns, and how many MiB the resident set rose meanwhile; None where it is not Linux.

    Freed memory is given back to the system before. Pages of files, such as libraries, are not counted: the
    system drops and reads them as it pleases.
    """
    clear = Path("/proc/self/clear_refs")
    if not clear.exists():
        return run(), None
    gc.collect()
    give_back_freed_memory()
    before, files = resident("VmRSS"), resident("RssFile")
    clear.write_text("5")
    result = run()
    return result, resident("VmHWM") - before - max(0.0, resident("RssFile") - files)
