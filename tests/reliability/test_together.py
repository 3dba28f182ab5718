"""A folder that changes while it is indexed, several processes at once, thousands of files."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from reliability.test_kills import Folder
from showtell.library.search import Library
from showtell.library.verify import verify
from support.children import SCALE, Children
from support.library import FakeEncoder, draw

pytestmark = pytest.mark.reliability


@pytest.fixture(scope="module")
def children() -> Iterator[tuple[Children, Children]]:
    with Children() as one, Children() as other:
        yield one, other


def test_a_folder_that_changes_while_it_is_indexed(tmp_path, children) -> None:
    photos, library = tmp_path / "photos", tmp_path / "library"
    folder, runs = Folder(photos, 200), round(4 * SCALE)
    for _ in range(runs):
        children[0].start("index", photos, library)
        for _ in range(20):
            folder.change()
            time.sleep(0.01)
        outcome = children[0].outcome()
        assert outcome.status == 0, outcome.said
    outcome = children[0].run("index", photos, library)
    assert outcome.status == 0, outcome.said
    assert [image.path for image in Library.open(library).rows()] == folder.images()
    assert verify(library) == []
    print(f"\nchanged during {runs} runs: {dict(folder.changes)}")


def test_two_that_index_and_one_that_searches(tmp_path, children) -> None:
    photos, library = tmp_path / "photos", tmp_path / "library"
    folder = Folder(photos, 60)
    assert children[0].run("index", photos, library).status == 0
    ends: Counter[int] = Counter()
    searches, done = 0, threading.Event()

    def keep_indexing(child: Children) -> None:
        for _ in range(round(6 * SCALE)):
            outcome = child.run("index", photos, library)
            ends[outcome.status] += 1
            assert outcome.status == 0 or "another process is writing" in outcome.said, outcome.said

    writers = [threading.Thread(target=keep_indexing, args=(child,)) for child in children]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        opened = Library.open(library, FakeEncoder())
        assert len(opened) >= 50
        assert opened.full_text("something", 3)
        assert opened.similar([1, 0, 0], 3)
        searches += 1
        folder.change()
    done.set()
    assert searches > 2
    assert sum(ends.values()) == 2 * round(6 * SCALE)
    assert children[0].run("index", photos, library).status == 0
    assert len(Library.open(library)) == len(folder.images())
    assert verify(library) == []
    print(f"\n{searches} searches while two index: {ends[0]} ended, {ends[1]} had to wait")


def test_thousands_of_files(tmp_path, children) -> None:
    count = round(2000 * SCALE)
    photos, library = tmp_path / "photos", tmp_path / "library"
    for i in range(count):
        draw(photos / f"{i % 97}" / f"{i}.png", (i % 256, i // 256 % 256, i // 65536), size=(4, 4))
    first = children[0].run("index at once", photos, library)
    assert first.status == 0, first
    assert json.loads(first.said)["added"] == count
    again = children[0].run("index at once", photos, library)
    assert again.status == 0, again
    assert json.loads(again.said)["unchanged"] == count
    assert len(Library.open(library)) == count
    print(f"\n{count} files: {first.seconds:.1f} s, then {again.seconds:.1f} s")
