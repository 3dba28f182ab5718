"""A guard for this thread's signal stack, which OpenVINO replaces by one too small for Python's handlers."""

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
    """Restore the alternate signal stack after the block.

    OpenVINO's CPU plugin sets one of some 20 KB for the thread that loads it, to be granted AMX registers.
    Python's handlers then run on it, and saving those registers overflows it: Ctrl-C during training crashed
    the process instead of stopping it cleanly. Without an alternate stack, handlers use the thread's own.
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
