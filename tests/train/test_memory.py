"""Freed memory is used again, page by page."""

import subprocess
import sys

import pytest

PAGES = 80 * 2**20 // 4096
PROGRAM = """
import resource
import torch
from showtell.train.memory import keep_freed_memory
torch.set_num_threads(1)
for keep in (False, True):
    if keep:
        keep_freed_memory()
    for _ in range(40):
        torch.empty(20 * 2**20).fill_(1.0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.empty(20 * 2**20).fill_(1.0)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 10)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of glibc")
def test_a_large_tensor_costs_its_pages_once():
    said = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    given_back, kept = map(int, said.stdout.split())
    if given_back < PAGES // 2:
        pytest.skip("this C library keeps large blocks anyway")
    assert kept < given_back / 10
