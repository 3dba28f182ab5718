"""Settings of the whole process, made here and nowhere else.

The command line and the server call `prepare_process` first; the library never does. Any program that imports
showtell may call it too: on a CPU, training and inference are faster after it.
"""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from io import TextIOWrapper
from pathlib import Path
from types import ModuleType
from typing import Any

WAITING = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "2000"}
"""How OpenMP's threads wait for work: they spin for about 0.1 ms, what waking them would cost, then sleep.

Spinning for longer, as is the default, makes a search by inversion ten times slower on a busy machine; not at
all, small products on an idle one by a third (`benchmarks/blip.py --only captions`).
"""


def prepare_process() -> None:
    """Set up streams, signals, warnings, threads and memory for a command, best before torch is imported."""
    _reopen_closed_streams()
    _write_any_name()
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends this process silently, like any other
    warnings.filterwarnings("ignore", module=r"PIL\.")  # odd metadata of an image that decodes
    if not os.environ.keys() & WAITING.keys():
        os.environ.update(WAITING)  # read once, when torch is loaded
    os.environ.setdefault("SHOWTELL_LINEAR", "auto")  # read by `nn/fastest.py`
    keep_freed_memory()
    if torch := sys.modules.get("torch"):
        flush_denormals(torch)
    else:
        sys.meta_path.insert(0, _FlushDenormalsAfterImport())


def _reopen_closed_streams() -> None:
    """Read a closed standard input as empty, and write what a closed standard error is sent nowhere.

    A closed standard output stays closed: results must not be lost.
    """
    nowhere = Path(os.devnull)
    if sys.stdin is None:
        sys.stdin = nowhere.open(encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = nowhere.open("w", encoding="utf-8")


def _write_any_name() -> None:
    """Streams are UTF-8; a file name that is not prints as `\\udc..`, which in JSON is its own escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # as arguments are read: a path keeps its bytes


_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Parameters of `mallopt` in glibc's `malloc.h`."""


def keep_freed_memory() -> None:
    """Let the C library reuse large blocks; a no-op where it is not glibc.

    By default glibc returns a block of more than 32 MB to the kernel when it is freed, and the next one is
    faulted in and zeroed page by page: a fifth of a training step whose activations are that large.

    Source: mallopt(3).
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_MMAP_MAX, 0)
        mallopt(_TOP_PAD, 2**28)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def give_back_freed_memory() -> None:
    """Return what is free within the heap to the system; a no-op where the C library is not glibc.

    What one thread freed serves no other, and what small blocks freed no larger one: kept, it adds to the
    peak of the work that follows. Given back, it costs the page faults of that work once.

    Source: malloc_trim(3).
    """
    if malloc_trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        malloc_trim(0)


def keep_all_objects() -> None:
    """Leave the objects that are there out of later garbage collections.

    Those of a server that has loaded its models live as long as it does; to look through them takes 0.2 s,
    in which nobody is answered.

    Source: `gc.freeze` of the Python standard library.
    """
    gc.collect()
    gc.freeze()


def flush_denormals(torch: Any) -> None:
    """Compute with 0 in place of denormal numbers, which make a matrix product 200 times slower.

    A setting of the calling thread, inherited by the threads that it starts.
    """
    torch.set_flush_denormal(True)


class _FlushDenormalsAfterImport(MetaPathFinder):
    """`flush_denormals` once torch has been imported: importing it here would cost `--help` a second."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        if (spec := importlib.util.find_spec(name)) and spec.loader:
            loader: Any = spec.loader
            execute = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                flush_denormals(module)

            loader.exec_module = exec_module
        return spec


@contextmanager
def module_hidden(name: str) -> Iterator[None]:
    """Inside the block, `import name` raises `ImportError`.

    `openvino` imports `openvino_telemetry` to report its own import to its makers; with the module hidden, it
    reports nothing.
    """
    hidden = name not in sys.modules
    if hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules[name]
