"""Prefetching keeps order and leaves the cores to the consumer."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from showtell.data.prefetch import prefetch

TASKS = Path("/proc/self/task")
pytestmark = pytest.mark.skipif(not TASKS.exists(), reason="threads are counted as Linux lists them")


def alive() -> int:
    return len(list(TASKS.iterdir()))


def test_threads_that_prepare_start_none_of_their_own() -> None:
    """Neither by OpenMP (a sum of many numbers) nor by MKL (their roots); the consumer keeps its own."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        numbers = torch.rand(1_000_000)
        numbers.sqrt().sum()  # this thread has started its own
        python, before_us = threading.active_count(), alive()
        most = 0
        for _ in prefetch(lambda _: float(numbers.sqrt().sum()), range(8), 4):
            most = max(most, alive() - (threading.active_count() - python))
        assert most <= before_us
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_reading_files_ahead_does_not_import_torch() -> None:
    """The import takes seconds, as long as `showtell data check` itself."""
    code = "import sys; from showtell.data.prefetch import prefetch; list(prefetch(str.upper, 'abc'))"
    said = subprocess.run(
        [sys.executable, "-c", f"{code}; print('torch' in sys.modules)"], capture_output=True
    )
    assert said.stdout.strip() == b"False"
