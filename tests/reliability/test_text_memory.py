"""What finding text in images of ever other sizes takes of memory."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from showtell.errors import MissingError
from showtell.hub.catalogue import package_path
from showtell.hub.ppocr import PPOCR
from showtell.runtime import keep_freed_memory
from support.memory import resident

SIZES = 100
MOST = 60
"""MiB, from half of the sizes to all; each new one took 3 to 4 while all were kept ready."""


@pytest.mark.reliability
def test_memory_does_not_grow_with_the_sizes_of_images() -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("the memory of a process is read from Linux's /proc")
    try:
        package_path("pp-ocrv4")
    except MissingError as error:
        pytest.skip(str(error))
    found = subprocess.run(
        [sys.executable, "-m", "reliability.test_text_memory"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    )
    memory = json.loads(found.stdout)
    print(f"\nMiB after each tenth of {SIZES} sizes:", *(f"{one:.0f}" for one in memory))
    assert memory[-1] - memory[len(memory) // 2] < MOST


def main() -> None:
    """Look for text in images of random sizes, the largest first; print MiB of the process."""
    keep_freed_memory()
    networks, chance = PPOCR(package_path("pp-ocrv4")), np.random.default_rng(0)
    sizes = [(900, 900)] * 4 + chance.integers(400, 900, (SIZES, 2)).tolist()
    memory = []
    for number, size in enumerate(sizes):
        networks.text_probability(np.full((*size, 3), 200, np.uint8))
        if number % (SIZES // 10) == 0:
            memory.append(resident("RssAnon"))
    print(json.dumps(memory))


if __name__ == "__main__":
    main()
