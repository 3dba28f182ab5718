"""Indexing and training, killed at random moments: nothing that was stored is lost."""

import json
import random
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from showtell.library.search import Library
from showtell.library.verify import verify
from showtell.writing import standing
from support.children import SCALE, Children
from support.library import draw

pytestmark = pytest.mark.reliability
KILLS = round(20 * SCALE)


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with Children() as started:
        yield started


class Folder:
    """Images that are added, moved, edited and removed at random."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder, self._made, self._random = folder, 0, random.Random(count)
        self.changes: Counter[str] = Counter()
        for _ in range(count):
            self.add()
        self.changes.clear()

    def add(self) -> None:
        self._made += 1
        path = self._folder / f"{self._made % 5}" / f"{self._made:05}.png"
        draw(path, (self._made % 256, self._made // 256 % 256, self._made // 65536 + 9), size=(4, 4))
        self.changes["added"] += 1

    def move(self) -> None:
        path = self._any()
        path.rename(path.with_name(f"moved {self._made} {path.name}"[:60]))
        self._made += 1
        self.changes["moved"] += 1

    def edit(self) -> None:
        self._made += 1
        draw(self._any(), (self._made % 256, 200, 77), size=(5, 5))
        self.changes["edited"] += 1

    def remove(self) -> None:
        self._any().unlink()
        self.changes["removed"] += 1

    def change(self) -> None:
        """A few changes of each kind."""
        for act in (self.add, self.add, self.add, self.move, self.edit, self.remove):
            act()

    def images(self) -> list[Path]:
        return sorted(self._folder.rglob("*.png"))

    def _any(self) -> Path:
        return self._random.choice(self.images())


def test_index_killed_at_random_moments(tmp_path, children) -> None:
    photos, library = tmp_path / "photos", tmp_path / "library"
    folder, draws = Folder(photos, 150), random.Random(0)
    whole = children.run("index", photos, tmp_path / "first")
    assert whole.status == 0, whole.said
    killed = ended = halfway = 0
    while killed < KILLS:
        outcome = children.run("index", photos, library, kill_after=draws.uniform(0, whole.seconds))
        if outcome.status == -signal.SIGKILL:
            killed += 1
            halfway += (library / "library.json").exists()
        else:
            assert outcome.status == 0, outcome.said
            ended += 1
            if ended % 2 == 0:
                shutil.rmtree(library)  # so that a first indexing is killed too
        if (library / "library.json").exists():
            Library.open(library)
            wrong = [p for p in verify(library) if p.path.exists() and "has 2 rows" not in p.what]
            assert all("changed since" in problem.what for problem in wrong)
        folder.change()
    outcome = children.run("index", photos, library)
    assert outcome.status == 0, outcome.said
    assert [image.path for image in Library.open(library).rows()] == folder.images()
    assert verify(library) == []
    assert json.loads(children.run("index", photos, library).said)["unchanged"] == len(folder.images())
    print(f"\nindex: {killed} killed, {halfway} with a library begun, {ended} ended; {dict(folder.changes)}")


def test_train_killed_at_random_moments(tmp_path, children) -> None:
    draws = random.Random(0)
    whole = children.run("train", tmp_path / "whole")
    assert whole.status == 0, whole.said
    output = tmp_path / "run"
    killed = begun = ended = 0
    while killed < KILLS:
        outcome = children.run("train", output, kill_after=draws.uniform(0, whole.seconds))
        if outcome.status == -signal.SIGKILL:
            killed += 1
            begun += standing(output / "state").exists()
        else:
            assert outcome.status == 0, outcome.said
            assert steps(output) == steps(tmp_path / "whole")
            shutil.rmtree(output)
            ended += 1
    assert children.run("train", output).status == 0
    assert steps(output) == steps(tmp_path / "whole")
    assert begun
    print(f"\ntrain: {killed} killed, {begun} with a state, {ended} ended")


def steps(output: Path) -> list[dict]:
    """What was measured at each step, without the time."""
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "items_per_second"} for line in lines]
