"""Several models' vectors side by side in one library."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from showtell.errors import UsageError, UserError
from showtell.library.forget import forget
from showtell.library.search import Library
from showtell.library.store import Store
from showtell.library.verify import verify
from showtell.protocols import Encoded
from support.library import SIZE, FakeEncoder, check, draw, index

A, B = FakeEncoder("model-a"), FakeEncoder("model-b", grid=False)


@pytest.fixture
def photos(tmp_path) -> Path:
    for name, colour in {"red": (250, 10, 10), "green": (10, 250, 10), "blue": (10, 10, 250)}.items():
        draw(tmp_path / "photos" / f"{name}.png", colour)
    return tmp_path / "photos"


@pytest.fixture
def library(tmp_path) -> Path:
    return tmp_path / "library"


def names(library: Library) -> list[str]:
    return [image.path.stem for image in library.rows()]


def test_another_models_vectors_are_added_at_once(photos, library) -> None:
    index(photos, library, A)
    reader = Library.open(library, A)
    answers: list[str] = []

    class NewEncoder(FakeEncoder):
        def encode(self, images: Sequence[np.ndarray]) -> Encoded:
            answers.append(Library.open(library).model)  # while the new vectors are made
            with pytest.raises(UserError, match=r"no vectors of fake@model-b .* only of fake@model-a"):
                Library.open(library, self)
            return super().encode(images)

    new = NewEncoder("model-b", grid=False)
    report = index(photos, library, new)
    check(report, added=3)
    assert report.beside == ("fake@model-a",)
    assert answers == ["model-a"]
    assert Library.open(library, new).tokens([0]).shape == (1, 1, 3)
    assert Library.open(library, A).tokens([0]).shape == (1, SIZE, 3)
    assert reader.tokens([0]).shape == (1, SIZE, 3), "a reader that was open keeps its vectors"
    assert Library.open(library).model == "model-b", "the set indexed last"
    again = index(photos, library, A)
    check(again, unchanged=3)
    assert again.beside == ()
    assert Library.open(library).model == "model-a"
    assert verify(library) == []


def test_a_set_follows_the_folder_when_its_model_indexes(photos, library) -> None:
    index(photos, library, A)
    index(photos, library, B)
    assert Library.open(library, A).behind is Library.open(library, B).behind is None
    draw(photos / "grey.png", (90, 90, 90))
    (photos / "red.png").unlink()
    check(index(photos, library, A), added=1, removed=1, unchanged=2)
    assert names(Library.open(library, A)) == ["blue", "green", "grey"]
    old = Library.open(library, B)
    assert names(old) == ["blue", "green", "red"]
    assert old.behind == "fake@model-a"
    assert Library.open(library, A).behind is None
    problems = {(problem.path.name, problem.what) for problem in verify(library)}
    assert problems == {("red.png", "its file does not exist")}
    check(index(photos, library, B), added=1, removed=1, unchanged=2)
    assert Library.open(library, A).behind is Library.open(library, B).behind is None
    assert verify(library) == []


def test_a_model_that_is_new_holds_the_other_folders_as_indexed_last(photos, library, tmp_path) -> None:
    more = tmp_path / "more"
    draw(more / "grey.png", (90, 90, 90))
    own = {more / "grey.png": ["a fog"]}
    index(photos, library, A)
    index(photos, library, B)
    index(more, library, B, own_captions=own)
    check(index(photos, library, FakeEncoder("model-c")), added=4)
    new = Library.open(library)
    assert {p.path.stem: p.captions for p in new.rows()}["grey"] == ("a fog",)
    assert new.behind is Library.open(library, B).behind is None
    assert Library.open(library, A).behind == "fake@model-c"
    check(index(photos, library, A, rebuild=True), added=3)
    assert names(Library.open(library, A)) == ["blue", "green", "red"], "a rebuild holds what its set held"


def test_own_captions_that_change_put_a_set_behind(photos, library) -> None:
    index(photos, library, A)
    index(photos, library, B, captions=False, own_captions={photos / "red.png": ["a poppy"]})
    assert Library.open(library, A).behind == "fake@model-b"


def test_captions_come_from_the_last_set_that_has_them(photos, library) -> None:
    index(photos, library, A)
    index(photos, library, B, captions=False, own_captions={photos / "red.png": ["a poppy"]})
    silent = Library.open(library)
    assert silent.model == "model-b"
    assert [m.path.stem for m in silent.full_text("poppy")] == ["red"]
    assert silent.full_text("something") == []
    assert len(Library.open(library, captioned=True).full_text("something")) == 3
    index(photos, library, A, captions=False)
    index(photos, library, B, captions=False)
    assert len(Library.open(library, captioned=True).full_text("something")) == 3, "they were not lost"
    forget(library, "fake@model-a")
    assert Library.open(library, captioned=True).model == "model-b", "better than none"


def test_rebuild_replaces_one_set(photos, library) -> None:
    index(photos, library, A)
    index(photos, library, B)
    a, b = FakeEncoder("model-a"), FakeEncoder("model-b")
    check(index(photos, library, a, rebuild=True), added=3)
    assert a.encoded == 3
    check(index(photos, library, b), unchanged=3)
    assert b.encoded == 0
    assert len(list(library.glob("*.lance"))) == 2, "the replaced table stays on disk"


def test_a_damaged_set_leaves_the_other(photos, library) -> None:
    index(photos, library, A)
    index(photos, library, B)
    for file in (library / f"{Store.open(library).manifest().sets[0].table}.lance").rglob("data/*"):
        file.write_bytes(b"noise")
    assert names(Library.open(library, B)) == ["blue", "green", "red"]
    with pytest.raises(UserError, match="--rebuild"):
        Library.open(library, A)
    with pytest.raises(UserError, match=r"the vectors of fake@model-a: .*--rebuild"):
        verify(library)
    check(index(photos, library, A, rebuild=True), added=3)
    assert verify(library) == []


def test_images_prepared_in_another_way_replace_the_models_set(photos, library) -> None:
    index(photos, library, A)
    index(photos, library, B)
    newer = FakeEncoder("model-a")
    newer.preprocessing = "fake8-v2"
    with pytest.raises(UserError, match=r"fake@model-a \(fake8-v2\)"):
        Library.open(library, newer)
    check(index(photos, library, newer), added=3)
    assert len(Library.open(library, newer)) == 3
    with pytest.raises(UserError, match=r"fake@model-b \(fake8-v1\), fake@model-a \(fake8-v2\)"):
        Library.open(library, A)


def test_forgetting_a_model_frees_its_space(photos, library, tmp_path) -> None:
    with pytest.raises(UserError, match="there is no library"):
        forget(library, "fake@model-a")
    assert not library.exists()
    index(photos, library, A)
    with pytest.raises(UsageError, match="delete the folder"):
        forget(library, "fake@model-a")
    index(photos, library, B)
    with pytest.raises(UsageError, match="it has those of fake@model-a, fake@model-b"):
        forget(library, "fake")
    forget(library, "fake@model-a")
    with pytest.raises(UserError, match="no vectors of fake@model-a"):
        Library.open(library, A)
    assert len(list(library.glob("images-*.lance"))) == len(list(library.glob("*.npy"))) == 1
    assert len(Library.open(library, B)) == 3
    assert verify(library) == []


def test_a_library_of_the_first_format_opens_and_grows(photos, library) -> None:
    index(photos, library, A)
    (known,) = Store.open(library).manifest().sets
    first = {"table": known.table, "model": known.model, "preprocessing": known.preprocessing, "format": 1}
    (library / "library.json").write_text(json.dumps(first))
    opened = Library.open(library, A)
    assert (len(opened), opened.behind, opened.name) == (3, None, "model-a")
    assert len(Library.open(library, captioned=True).full_text("something")) == 3
    index(photos, library, B)
    assert Library.open(library, A).behind is None, "what the first format did not say is not held against it"
    a = FakeEncoder("model-a")
    check(index(photos, library, a), unchanged=3)
    assert a.encoded == 0
    assert Library.open(library, a).name == "fake@model-a"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 2, "sets": [{"table": "x"}]}'])
def test_a_damaged_manifest_is_an_error(photos, library, text) -> None:
    index(photos, library, A)
    (library / "library.json").write_text(text)
    with pytest.raises(UserError, match=r"library\.json is damaged"):
        Library.open(library)


def test_a_library_of_a_newer_showtell_is_refused(photos, library) -> None:
    index(photos, library, A)
    (library / "library.json").write_text('{"format": 3}')
    with pytest.raises(UserError, match="newer version of showtell"):
        Library.open(library)
    with pytest.raises(UserError, match="newer version of showtell"):
        index(photos, library, A)


def test_a_new_model_killed_halfway_leaves_the_others(photos, library) -> None:
    index(photos, library, A)

    class Killed(BaseException):
        pass

    class Dying(FakeEncoder):
        def best_captions(self, encoded: Encoded) -> list[str]:
            raise Killed

    with pytest.raises(Killed):
        index(photos, library, Dying("model-b"))
    assert [known.model for known in Store.open(library).manifest().sets] == ["model-a"]
    assert len(Library.open(library, A)) == 3
    check(index(photos, library, B), added=3)
    shutil.rmtree(photos)
    assert len(Library.open(library, A)) == 3
