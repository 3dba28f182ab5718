"""A full or read-only disk, too few file descriptors, too little memory: said, and nothing stored is lost."""

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from showtell.library.search import Library
from showtell.library.verify import verify
from support.children import SCALE, Children
from support.library import draw

pytestmark = pytest.mark.reliability

WORDS = {
    "file": "free space|cannot write",
    "descriptors": "ulimit|open files",
    "memory": "memory|thread",
}
VALUES = {
    "file": [0, 100, 1_000, 4_000, 20_000, 60_000, 200_000, 1_000_000],
    "descriptors": [4, 8, 12, 16, 20, 24, 32, 64],
    "memory": [2**20 * n for n in (0, 64, 256, 1024, 4096)],
}


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with Children() as started:
        yield started


@pytest.mark.parametrize("limit", VALUES)
def test_index_within_a_limit(tmp_path, children, limit) -> None:
    """Whatever is too little, the next run without the limit finds all that was stored, and ends well."""
    photos, library = tmp_path / "photos", tmp_path / "library"
    ends: Counter[str] = Counter()
    count = 0
    for value in VALUES[limit]:
        for _ in range(round(12 * max(SCALE, 1))):
            draw(photos / f"{count}.png", (count % 256, count // 256, 50), size=(64, 64))
            count += 1
        before = len(Library.open(library)) if (library / "library.json").exists() else 0
        outcome = children.run("index", photos, library, limits={limit: value}, patience=120)
        ends[{0: "done", 1: "said", -signal.SIGALRM: "hung"}.get(outcome.status, "died")] += 1
        if outcome.status == 1:
            assert any(word in outcome.said for word in WORDS[limit].split("|")), outcome.said
            assert "is damaged" not in outcome.said
        else:
            assert outcome.status == 0, f"{value}: {outcome}"
        if (library / "library.json").exists():
            assert len(Library.open(library)) >= before
            assert verify(library) == []
    assert children.run("index", photos, library).status == 0
    assert len(Library.open(library)) == count
    assert verify(library) == []
    print(f"\n{limit}: {dict(ends)} of {len(VALUES[limit])} runs")
    assert ends["done"]
    assert ends["said"]
    assert ends.keys() <= {"done", "said"}


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 2 MB; skipped where none may be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk(tmp_path, children, small_disk) -> None:
    photos = tmp_path / "photos"
    for i in range(100):
        path = photos / f"{i}.png"
        draw(path, (i, 9, 9), size=(64, 64))
    assert children.run("index", photos, small_disk / "library").status == 0
    filler = small_disk / "filler"
    with filler.open("wb") as file:
        try:
            while True:
                os.write(file.fileno(), bytes(4096))
        except OSError:
            pass
    draw(photos / "new.png", (9, 9, 9))
    outcome = children.run("index", photos, small_disk / "library")
    assert outcome.status == 1, outcome.said
    assert "free space" in outcome.said
    assert len(Library.open(small_disk / "library")) >= 100
    filler.unlink()
    assert children.run("index", photos, small_disk / "library").status == 0
    assert len(Library.open(small_disk / "library")) == 101
    assert verify(small_disk / "library") == []


def test_a_disk_that_is_not_there(tmp_path, children) -> None:
    """A library on a fast disk that went away is not begun anew elsewhere in silence."""
    photos = tmp_path / "photos"
    draw(photos / "a.png", (1, 2, 3))
    (tmp_path / "fast").symlink_to(tmp_path / "unmounted")
    outcome = children.run("index", photos, tmp_path / "fast")
    assert outcome.status == 1, outcome.said
    assert str(tmp_path / "unmounted") in outcome.said or str(tmp_path / "fast") in outcome.said
    (tmp_path / "unmounted").mkdir()
    assert children.run("index", photos, tmp_path / "fast").status == 0
