"""Keep a library from moving this thread's signal handlers onto a stack that is too small for them."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    """`stack_t` of Linux's `signal.h`."""

    _fields_ = [("pointer", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


@contextmanager
def signal_stack_kept() -> Iterator[None]:
    """Put back the alternate signal stack that stood before the block.

    OpenVINO's CPU plugin gives the thread that loads it one of some 20 KB, to be allowed the AMX registers.
    Python's handlers run there, and with such registers to save they run over its end: Ctrl-C during a
    training run then crashed the process instead of saving it. Without it handlers use the thread's own.
    """
    if sys.platform != "linux":
        yield
        return
    libc, before = ctypes.CDLL(None), _Stack()
    libc.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        libc.sigaltstack(ctypes.byref(before), None)
