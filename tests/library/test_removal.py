"""A drive that is not connected empties no library."""

import os
import shutil
from pathlib import Path

import pytest

from showtell.errors import UserError
from showtell.library import removal
from showtell.library.search import Library
from showtell.library.verify import verify
from support.library import FakeEncoder, check, draw, index


@pytest.fixture
def library(tmp_path) -> Path:
    return tmp_path / "library"


@pytest.fixture
def usb(tmp_path, library) -> Path:
    for i in range(40):
        draw(tmp_path / "usb" / f"{i % 2}" / f"{i}.png", (i, 9, 9), size=(4, 4))
    index(tmp_path / "usb", library, FakeEncoder())
    return tmp_path / "usb"


def unmount(folder: Path) -> Path:
    away = folder.rename(folder.with_name("away"))
    folder.mkdir()
    return away


def test_a_drive_that_is_not_connected(usb, library) -> None:
    away = unmount(usb)
    with pytest.raises(UserError, match=r"40 of the 40 images stored from .*usb are not there .*--prune"):
        index(usb, library, FakeEncoder())
    assert len(Library.open(library)) == 40
    usb.rmdir()
    away.rename(usb)
    check(index(usb, library, FakeEncoder()), unchanged=40)
    unmount(usb)
    check(index(usb, library, FakeEncoder(), prune=True), removed=40)
    assert len(Library.open(library)) == 0


@pytest.mark.parametrize(("gone", "refused"), [(10, False), (11, True)])
def test_a_quarter_and_more_than_ten(usb, library, gone, refused) -> None:
    for i in range(gone):
        (usb / f"{i % 2}" / f"{i}.png").unlink()
    if refused:
        with pytest.raises(UserError, match=f"{gone} of the 40"):
            index(usb, library, FakeEncoder())
    else:
        check(index(usb, library, FakeEncoder()), removed=gone, unchanged=40 - gone)


@pytest.mark.parametrize(
    ("lost", "stored", "refused"),
    [
        (10, 11, False),
        (11, 44, False),
        (11, 43, True),
        (11, 12, True),
        (1, 1, True),
        (0, 0, False),
        (3, 3, True),
    ],
)
def test_how_many_are_too_many(lost, stored, refused) -> None:
    paths = [Path(f"{i}.png") for i in range(lost)]
    if refused:
        with pytest.raises(UserError, match="prune"):
            removal.check_removal(paths, stored, "a folder")
    else:
        removal.check_removal(paths, stored, "a folder")


def test_moved_images_are_not_lost(usb, library) -> None:
    renamed = usb.rename(usb.with_name("renamed"))
    usb.mkdir()
    check(index(renamed, library, FakeEncoder()), added=40, removed=40)
    for path in list(renamed.rglob("*.png"))[:30]:
        path.rename(renamed / f"moved {path.name}")
    check(index(renamed, library, FakeEncoder()), added=30, removed=30, unchanged=10)


def test_new_images_beside_a_missing_part(usb, library) -> None:
    """What is new is kept for the next run."""
    shutil.rmtree(usb / "0")
    draw(usb / "new.png", (250, 250, 9))
    with pytest.raises(UserError, match="20 of the 40"):
        index(usb, library, FakeEncoder())
    encoder = FakeEncoder()
    check(index(usb, library, encoder, prune=True), unchanged=21, removed=20)
    assert encoder.encoded == 0
    assert verify(library) == []


def test_images_emptied_by_a_drive_count_as_gone(usb, library) -> None:
    for path in usb.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match="40 of the 40"):
        index(usb, library, FakeEncoder())


def test_another_folder_is_measured_on_its_own(usb, library, tmp_path) -> None:
    for i in range(3):
        draw(tmp_path / "small" / f"{i}.png", (9, i, 9))
    index(tmp_path / "small", library, FakeEncoder())
    unmount(tmp_path / "small")
    with pytest.raises(UserError, match=r"3 of the 3 images stored from .*small"):
        index(tmp_path / "small", library, FakeEncoder())
    (usb / "0" / "0.png").unlink()
    check(index(usb, library, FakeEncoder()), unchanged=39, removed=1)
    assert len(Library.open(library)) == 42


@pytest.mark.parametrize("change", ["rebuild", "preprocessing"])
def test_new_vectors_do_not_lose_a_drive(usb, library, tmp_path, change) -> None:
    """Neither the folder that is indexed nor another one."""
    encoder = FakeEncoder()
    if change == "preprocessing":
        encoder.preprocessing = "fake8-v2"
    draw(tmp_path / "more" / "a.png", (9, 9, 250))
    index(tmp_path / "more", library, FakeEncoder())
    away = unmount(usb)
    for folder in (usb, tmp_path / "more"):
        with pytest.raises(UserError, match="40 of the 40 images stored from"):
            index(folder, library, encoder, rebuild=change == "rebuild")
    assert len(Library.open(library)) == 41
    usb.rmdir()
    away.rename(usb)
    index(usb, library, encoder, rebuild=change == "rebuild")
    assert len(Library.open(library, encoder)) == 41
    unmount(usb)
    index(tmp_path / "more", library, encoder, rebuild=True, prune=True)
    assert len(Library.open(library, encoder)) == 1


def test_another_model_says_what_it_does_not_take_over(usb, library, tmp_path, caplog) -> None:
    draw(tmp_path / "more" / "a.png", (9, 9, 250))
    unmount(usb)
    check(index(tmp_path / "more", library, FakeEncoder("model-b")), added=1)
    assert "40 images of other folders are not there now and get no new vectors" in caplog.text
    assert len(Library.open(library, FakeEncoder())) == 40


def denied(monkeypatch, part: Path, *, stat: bool) -> None:
    """Reading under a folder fails, as a mode or a broken drive would have it; also the status if `stat`."""
    listed, seen, opened = os.scandir, Path.stat, Path.read_bytes

    def inside(path: object) -> bool:
        return Path(os.fsdecode(path)) == part or part in Path(os.fsdecode(path)).parents

    def scandir(path: object = ".") -> object:
        if inside(path):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    def status(path: Path, **options: object) -> object:
        if stat and part in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return seen(path, **options)

    def read(path: Path) -> bytes:
        if inside(path):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(os, "listdir", lambda path=".": [entry.name for entry in os.scandir(path)])
    monkeypatch.setattr(Path, "stat", status)
    monkeypatch.setattr(Path, "read_bytes", read)


@pytest.mark.parametrize("stat", [True, False])
def test_images_of_a_folder_that_cannot_be_read_stay(usb, library, monkeypatch, caplog, stat) -> None:
    with monkeypatch.context() as patched:
        denied(patched, usb / "0", stat=stat)
        for prune in (False, True):
            report = index(usb, library, FakeEncoder(), prune=prune)
            assert (report.removed, report.unchanged) == (0, 20)
    assert "20 stored images cannot be read now and stay" in caplog.text
    assert len(Library.open(library)) == 40
    check(index(usb, library, FakeEncoder()), unchanged=40)


def test_an_image_that_cannot_be_read_stays(usb, library, monkeypatch, caplog) -> None:
    path = usb / "0" / "0.png"
    os.utime(path, ns=(1, 1))
    allowed = Path.read_bytes

    def broken(self: Path) -> bytes:
        if self == path:
            raise OSError(5, "Input/output error", str(self))
        return allowed(self)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", broken)
        check(index(usb, library, FakeEncoder()), unchanged=39, skipped=1)
        with pytest.raises(UserError, match=r"0\.png: .*Input/output error; new vectors would replace"):
            index(usb, library, FakeEncoder(), rebuild=True)
    assert "1 stored images cannot be read now and stay" in caplog.text
    assert len(Library.open(library)) == 40


def test_too_few_file_descriptors_stop_the_run(usb, library, monkeypatch) -> None:
    """Or every image would be skipped."""

    def refuse(path: Path) -> bytes:
        raise OSError(24, "Too many open files", str(path))

    draw(usb / "new.png", (250, 250, 9))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", refuse)
        with pytest.raises(UserError, match="ulimit"):
            index(usb, library, FakeEncoder())
    check(index(usb, library, FakeEncoder()), unchanged=40, added=1)
