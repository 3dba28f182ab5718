"""Damage, a missing permission, a wrong argument and an empty library are told apart."""

import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from showtell.errors import UserError
from showtell.library import store
from showtell.library.failures import DamagedError, changing, number_of, reading
from showtell.library.info import library_info
from showtell.library.search import Library
from showtell.library.store import Store
from showtell.library.verify import verify
from showtell.pipelines.index import open_library
from support.library import FakeEncoder, check, draw, index

NOBODY = 65534


@pytest.fixture
def photos(tmp_path) -> Path:
    for i in range(3):
        draw(tmp_path / "photos" / f"{i}.png", (200, i, 10))
    return tmp_path / "photos"


@pytest.fixture
def library(photos, tmp_path) -> Path:
    index(photos, tmp_path / "library", FakeEncoder())
    return tmp_path / "library"


@pytest.fixture
def as_nobody(tmp_path, monkeypatch) -> Iterator[None]:
    """File modes count, also where the tests run as root."""
    if os.name == "nt":
        pytest.skip("Windows has no file modes")
    if os.geteuid():
        yield
        return
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    parents = [parent for parent in tmp_path.parents if not parent.stat().st_mode & 1]
    modes = [parent.stat().st_mode for parent in parents]
    for parent, mode in zip(parents, modes, strict=True):
        parent.chmod(mode | 0o111)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        for parent, mode in zip(parents, modes, strict=True):
            parent.chmod(mode)


READERS = {
    "open": lambda library: Library.open(library),
    "open for a model": lambda library: Library.open(library, FakeEncoder()),
    "verify": verify,
    "info": library_info,
}


def damage(library: Path, how: str) -> None:
    (table,) = library.glob("*.lance")
    match how:
        case "no table":
            shutil.rmtree(table)
        case "no versions":
            shutil.rmtree(table / "_versions")
        case "no data":
            shutil.rmtree(table / "data")
        case "noise":
            for file in table.rglob("*.*"):
                if file.is_file():
                    file.write_bytes(b"noise")
        case "no manifest":
            (library / "library.json").unlink()
        case "half a manifest":
            (library / "library.json").write_text((library / "library.json").read_text()[:60])
        case "a manifest nested too deep":
            (library / "library.json").write_text("[" * 100_000)
        case "another encoding":
            (library / "library.json").write_bytes('{"format": "\xe9"}'.encode("latin-1"))
        case "no sets":
            (library / "library.json").write_text(json.dumps({"format": 2, "sets": []}))
        case _:
            raise AssertionError(how)


TABLES = ["no table", "no versions", "no data", "noise"]
MANIFESTS = ["no manifest", "half a manifest", "a manifest nested too deep", "another encoding", "no sets"]


@pytest.mark.parametrize("how", TABLES + MANIFESTS)
def test_damage_is_damage_to_every_reader(photos, library, how) -> None:
    damage(library, how)
    readers = {**READERS, "index": lambda library: index(photos, library, FakeEncoder())}
    for name, read in readers.items():
        with pytest.raises(UserError, match="is damaged") as told:
            read(library)
        assert str(told.value).endswith(f"--library {library} --rebuild"), name
        assert "delete" not in str(told.value), name


@pytest.mark.parametrize("how", TABLES)
def test_a_lost_table_is_made_again(photos, library, how, tmp_path) -> None:
    damage(library, how)
    report = index(photos, library, FakeEncoder(), rebuild=True)
    check(report, added=3)
    assert report.lost is not None
    assert verify(library) == []


@pytest.mark.parametrize("how", MANIFESTS)
def test_the_advice_for_a_lost_manifest_keeps_every_vector(photos, library, how, tmp_path, caplog) -> None:
    draw(tmp_path / "more" / "grey.png", (90, 90, 90))
    index(tmp_path / "more", library, FakeEncoder(), own_captions={tmp_path / "more" / "grey.png": ["a fog"]})
    index(photos, library, FakeEncoder("model-b"))
    damage_only_manifest = {path: path.read_bytes() for path in library.rglob("*.lance") if path.is_file()}
    shutil.copytree(library, tmp_path / "kept")
    for table in list(library.glob("*.lance"))[1:]:
        table.rename(tmp_path / table.name)
    damage(library, how)
    for table in tmp_path.glob("*.lance"):
        table.rename(library / table.name)
    other = FakeEncoder("model-b")
    report = index(photos, library, other, rebuild=True)
    assert report.lost is None
    assert "was made again from the tables" in caplog.text
    assert all(path.read_bytes() == content for path, content in damage_only_manifest.items())
    first = FakeEncoder()
    check(index(photos, library, first), unchanged=3)
    assert first.encoded == 0, "the vectors of the other model are kept"
    images = {image.path.name: image.captions for image in Library.open(library, first).rows()}
    assert images["grey.png"] == ("a fog",)
    assert len(Library.open(library, other)) == 4
    assert verify(library) == []


def test_a_table_lost_in_a_killed_first_run_is_damage(photos, tmp_path) -> None:
    class Killed(BaseException):
        pass

    class Dying(FakeEncoder):
        def best_captions(self, encoded):
            if self.captioned:
                raise Killed
            return super().best_captions(encoded)

    library = tmp_path / "library"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("showtell.library.run.BATCH", 1)
        patched.setattr("showtell.library.run.COMMIT_ROWS", 1)
        with pytest.raises(Killed):
            index(photos, library, Dying())
    assert len(Library.open(library)) == 1
    damage(library, "no table")
    with pytest.raises(DamagedError, match="is missing"):
        Library.open(library)


@pytest.mark.parametrize("what", ["manifest", "table", "versions", "data", "file", "library"])
def test_what_may_not_be_read_is_not_damaged(photos, library, what, as_nobody) -> None:
    (table,) = library.glob("*.lance")
    path = {
        "manifest": library / "library.json",
        "table": table,
        "versions": table / "_versions",
        "data": table / "data",
        "file": next((table / "data").iterdir()),
        "library": library,
    }[what]
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        for name, read in READERS.items():
            with pytest.raises(UserError, match="Permission denied") as told:
                read(library)
            assert "damaged (" not in str(told.value), name
            assert "rebuild" not in str(told.value), name
            assert str(path) in str(told.value), name
        for rebuild in (False, True):
            with pytest.raises(UserError, match="Permission denied"):
                index(photos, library, FakeEncoder(), rebuild=rebuild)
    finally:
        path.chmod(mode)
    assert len(Library.open(library)) == 3
    check(index(photos, library, FakeEncoder()), unchanged=3)


def test_a_manifest_that_may_not_be_opened(library, monkeypatch) -> None:
    """As a file mode would do it, for systems where none counts."""

    def refuse(path: Path, *arguments: object, **options: object) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(UserError, match=r"library\.json: Permission denied; nothing is damaged"):
        Library.open(library)


def test_a_library_in_a_folder_that_may_not_be_written(photos, library, as_nobody, caplog) -> None:
    for file in library.glob("*.npy"):
        file.unlink()
    library.chmod(0o555)
    try:
        assert len(Library.open(library)) == 3
        assert "vectors cannot be kept there (Permission denied)" in caplog.text
        with pytest.raises(UserError, match=r"cannot write .*Permission denied"):
            index(photos, library, FakeEncoder(), rebuild=True)
    finally:
        library.chmod(0o755)
    check(index(photos, library, FakeEncoder()), unchanged=3)


def test_an_empty_library_says_so(tmp_path, caplog) -> None:
    (tmp_path / "photos").mkdir()
    index(tmp_path / "photos", tmp_path / "library", FakeEncoder())
    caplog.set_level(logging.WARNING)
    assert len(open_library(tmp_path / "library", FakeEncoder())) == 0
    assert "holds no images yet" in caplog.text
    assert verify(tmp_path / "library") == []


def test_a_folder_instead_of_a_model(photos, library) -> None:
    for ask in (
        lambda: Library.open(library, "model/folder"),
        lambda: open_library(library, Path("model/folder")),
        lambda: index(photos, library, "model/folder"),
    ):
        with pytest.raises(TypeError, match=r"load_model\('model/folder'\)"):
            ask()
    with pytest.raises((TypeError, AttributeError)):
        Library.open(library).full_text(5)
    with pytest.raises(TypeError):
        Library.open(library).full_text("red", "ten")


def test_a_model_instead_of_a_library(tmp_path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match="holds a model, not a library"):
        Library.open(tmp_path)
    with pytest.raises(UserError, match="not a library"):
        Library.open(tmp_path / "config.json")


@pytest.mark.parametrize("part", ["header", "rows", "empty"])
def test_derived_vectors_that_are_damaged_are_derived_again(library, part) -> None:
    before = Library.open(library).vectors().copy()
    (file,) = library.glob("*.npy")
    content = file.read_bytes()
    file.unlink()  # it is mapped
    file.write_bytes({"header": b"noise" + content[5:], "rows": content[:-5], "empty": b""}[part])
    assert (Library.open(library).vectors() == before).all()


CAUSES = {
    "lance error: IO error: No space left on device (os error 28), /rustc/1": "free space",
    "lance error: File too large (os error 27)": "free space",
    "lance error: Too many open files (os error 24)": "ulimit -n",
    "lance error: Permission denied (os error 13)": "permission",
    "lance error: Read-only file system (os error 30)": "permission",
    "lance error: Input/output error (os error 5)": "drive is connected",
    "lance error: Cannot allocate memory (os error 12)": "close other programs",
    "lance error: something else": "cannot write the library",
}


@pytest.mark.parametrize("text", CAUSES)
def test_the_cause_of_a_failed_write_is_told(tmp_path, text) -> None:
    with pytest.raises(UserError, match=CAUSES[text]), changing(tmp_path):
        raise RuntimeError(text)


def test_a_panic_below_is_told(tmp_path) -> None:
    panic = type("PanicException", (BaseException,), {})("Os { code: 24, kind: Uncategorized }")
    with pytest.raises(UserError, match="ulimit -n"), reading(tmp_path):
        raise panic
    with pytest.raises(KeyboardInterrupt), reading(tmp_path):
        raise KeyboardInterrupt


def test_error_numbers() -> None:
    assert number_of(OSError(28, "full")) == 28
    assert number_of(MemoryError()) == 12
    assert number_of(RuntimeError("os error 24)")) == 24
    assert number_of(ValueError("Failed to build: Os { code: 24, kind: Uncategorized }")) == 24
    assert number_of(ValueError("nothing")) is None
    assert number_of(None) is None


def test_a_full_disk_keeps_what_was_written(photos, library, monkeypatch) -> None:
    draw(photos / "new.png", (1, 2, 3))

    def full(*arguments: object, **options: object) -> None:
        raise RuntimeError("lance error: No space left on device (os error 28)")

    with monkeypatch.context() as patched:
        patched.setattr("showtell.library.store.Store._tidy", full)
        with pytest.raises(UserError, match="free space and run it again: what was written stays"):
            index(photos, library, FakeEncoder())
    encoder = FakeEncoder()
    check(index(photos, library, encoder), unchanged=4)
    assert encoder.encoded == 0
    assert [known.model for known in Store.open(library).manifest().sets] == ["model-a"]


def test_too_little_memory_is_said_before_lancedb_starts(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(store, "MEMORY", 2**60)
    with pytest.raises(
        UserError, match=r"Cannot allocate memory; close other programs, or raise `ulimit -v`"
    ):
        store.Store(tmp_path)


def test_a_manifest_that_is_a_folder_is_damage_of_the_library(tmp_path) -> None:
    (tmp_path / "library.json").mkdir()
    with pytest.raises(DamagedError, match=rf"library\.json is a folder.*--library {tmp_path} --rebuild"):
        store.Store(tmp_path).manifest()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file, not a library"):
        store.Store.open(tmp_path / "file")
