"""A library survives kill -9 at any moment, and a second writer."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from showtell.errors import UserError
from showtell.library.manifest import VectorSet
from showtell.library.search import Library
from showtell.library.store import Store
from showtell.library.verify import verify
from support.library import FakeEncoder, check, draw, index

INDEXER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from support.library import FakeEncoder, index
from showtell.library import run
from showtell.progress import shown_by
run.BATCH, run.COMMIT_ROWS = 4, 8
print("ready", flush=True)
with shown_by(lambda what, done, total, note: print(done, flush=True)):
    index(Path(sys.argv[2]), Path(sys.argv[3]), FakeEncoder(sys.argv[4]))
"""


def start(photos: Path, library: Path, model: str) -> subprocess.Popen:
    """An indexing process that has finished importing."""
    arguments = [
        sys.executable,
        "-c",
        INDEXER,
        str(Path(__file__).parents[1]),
        str(photos),
        str(library),
        model,
    ]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment(tmp_path, seed) -> None:
    """Kill at random moments, change the folder between, and compare with what was acknowledged."""
    rng = random.Random(seed)
    photos, library = tmp_path / "photos", tmp_path / "library"
    for i in range(150):
        draw(photos / f"{i:03}.png", (i, 255 - i, 99), size=(4, 4))
    model, kept, partial = "model-a", 0, False
    for attempt in range(5):
        process = start(photos, library, model)
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(rng.randint(0, 3))]
        time.sleep(rng.uniform(0, 0.03))
        process.send_signal(signal.SIGKILL)
        acknowledged += map(int, process.communicate()[0].split())
        if (library / "library.json").exists() and model == "model-a":
            opened = Library.open(library)
            assert len(opened) >= max([kept, *acknowledged])
            wrong = [problem for problem in verify(library) if problem.path.exists()]
            assert wrong == [], "beyond the rows of files that moved, which the next run drops"
            kept = len(opened)
            partial |= 0 < kept < 150
        (photos / f"{attempt * 20:03}.png").rename(photos / f"moved {attempt}.png")
        kept = max(0, kept - 1)
        if attempt == 3:
            model = "model-b"  # its table is begun beside the other one
    assert partial, "no process was killed halfway, so nothing was tested"
    for maker in (FakeEncoder(model), FakeEncoder("model-a")):
        report = index(photos, library, maker)
        assert report.total == 150 == report.added + report.updated + report.unchanged
        assert [p.path for p in Library.open(library, maker).rows()] == sorted(photos.glob("*.png"))
    assert verify(library) == []
    check(index(photos, library, FakeEncoder(model)), unchanged=150)


def test_killed_between_adding_and_removing(tmp_path, monkeypatch) -> None:
    """A changed image has its new row and still its old one."""
    photos, library = tmp_path / "photos", tmp_path / "library"
    draw(photos / "a.png", (255, 0, 0))
    draw(photos / "b.png", (0, 255, 0))
    index(photos, library, FakeEncoder())
    draw(photos / "a.png", (0, 0, 255), size=(9, 9))

    class Killed(BaseException):
        pass

    with monkeypatch.context() as patched:
        patched.setattr("showtell.library.run.Run.remove", lambda *args: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            index(photos, library, FakeEncoder())
    captions = {p.path.name: p.caption for p in Library.open(library).rows()}
    assert captions == {"a.png": "something blue on a table", "b.png": "something green on a table"}
    assert len(Library.open(library).full_text("something")) == 2
    encoder = FakeEncoder()
    check(index(photos, library, encoder), unchanged=2)
    assert encoder.encoded == 0
    assert verify(library) == []


def test_killed_before_the_first_row(tmp_path) -> None:
    """The remains of a process killed early do not matter."""
    photos, library = tmp_path / "photos", tmp_path / "library"
    draw(photos / "a.png", (255, 0, 0))
    library.mkdir()
    (library / ".library.json.1234abcd").write_text("{")
    (library / "lock").touch()
    check(index(photos, library, FakeEncoder()), added=1)


def test_killed_while_the_table_is_made(tmp_path, monkeypatch) -> None:
    """A table without a version is no damage before the first image was stored."""
    photos, library = tmp_path / "photos", tmp_path / "library"
    draw(photos / "a.png", (255, 0, 0))

    class Killed(BaseException):
        pass

    def begin(store: Store, target: VectorSet, width: int) -> None:
        (store.folder / f"{target.table}.lance" / "_versions").mkdir(parents=True)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Store, "begin", begin)
        with pytest.raises(Killed):
            index(photos, library, FakeEncoder())
    assert len(Library.open(library)) == 0
    check(index(photos, library, FakeEncoder()), added=1)
    assert verify(library) == []


def test_two_writers_at_once(tmp_path) -> None:
    photos, library = tmp_path / "photos", tmp_path / "library"
    draw(photos / "a.png", (255, 0, 0))
    with Store.writing(library), pytest.raises(UserError, match="another process"):
        index(photos, library, FakeEncoder())
    check(index(photos, library, FakeEncoder()), added=1)


def test_readers_while_another_process_writes(tmp_path) -> None:
    """Compaction removes the files of old versions; no reader may notice."""
    photos, library = tmp_path / "photos", tmp_path / "library"
    for i in range(40):
        draw(photos / f"{i:03}.png", (i, 0, 99), size=(4, 4))
    index(photos, library, FakeEncoder())
    for i in range(40, 400):
        draw(photos / f"{i:03}.png", (i % 256, i // 256, 99), size=(4, 4))
    process = start(photos, library, "model-a")
    opened = 0
    while process.poll() is None:
        reader = Library.open(library)
        assert len(reader) >= 40
        assert len(reader.tokens([0, 39])) == 2
        assert reader.full_text("blue", 3)
        opened += 1
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert opened > 2
    assert len(Library.open(library)) == 400
