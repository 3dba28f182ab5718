"""What a Qwen-VL was expected to take, beside what it took."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.qwen import FAMILIES

pytest.importorskip("transformers", "5.24")
SIZES = [(200 + 37 * i, 200 + 37 * (7 * i % 20)) for i in range(20)]
BATCHES = [
    [([(448, 448)], 1, 8)] * 3,
    [([(640, 640)], 1, 8), ([(60, 60)], 1, 8), ([], 1, 8)],
    [([], 1000, 8), ([], 300, 8), ([], 1000, 8)],
    [([], 300, 200)] * 4,
]
"""Questions alike and unlike, long texts, and long answers."""


@pytest.mark.reliability
@pytest.mark.parametrize("family", FAMILIES)
def test_no_more_is_taken_than_expected_and_not_much_less(family) -> None:
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("the peak of a process is read from Linux's /proc")
    asked = [[([size], 1, 8)] for size in SIZES] + BATCHES
    found = subprocess.run(
        [sys.executable, "-m", "support.peaks", family, "256", "64"],
        input="".join(f"{json.dumps(batch)}\n" for batch in asked),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    )
    ratios = [expected / measured for expected, measured in map(json.loads, found.stdout.splitlines())]
    print(f"\n{family}: expected / measured, by image", *(f"{ratio:.2f}" for ratio in ratios[: len(SIZES)]))
    print(f"{family}: expected / measured, by batch", *(f"{ratio:.2f}" for ratio in ratios[len(SIZES) :]))
    assert len(ratios) == len(asked)
    assert min(ratios) >= 1
    assert max(ratios[: len(SIZES)]) <= 1.6
