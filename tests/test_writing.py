"""A file is the old or the new version, complete; errors name it."""

import os
from pathlib import Path

import pytest

from showtell.errors import UserError
from showtell.writing import check_writable, replacing, write_file, writing


def full(*_):
    raise OSError(28, "No space left on device")


def killed(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("failure", [full, killed])
@pytest.mark.parametrize(("owner", "name"), [(os, "fsync"), (Path, "replace")])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, owner, name, failure):
    file = tmp_path / "page.html"
    write_file(file, b"old")
    monkeypatch.setattr(owner, name, failure)
    with pytest.raises((UserError, KeyboardInterrupt)):
        write_file(file, b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"page.html": b"old"}


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "page.html"
    write_file(file, b"old")

    def half():
        with replacing(file) as new:
            new.write(b"ne")
            raise ValueError("half written")

    with pytest.raises(ValueError, match="half"):
        half()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"page.html": b"old"}


def test_the_content_is_synced_before_the_rename_and_the_folder_after_it(tmp_path, monkeypatch):
    file, seen = tmp_path / "page.html", []
    fsync = os.fsync

    def watched(descriptor):
        fsync(descriptor)
        seen.append((Path(f"/proc/self/fd/{descriptor}").readlink(), file.exists()))

    monkeypatch.setattr(os, "fsync", watched)
    write_file(file, b"new")
    (content, named_then), (folder, named_now) = seen
    assert content.name.startswith(".page.html.")
    assert not named_then
    assert folder == tmp_path
    assert named_now
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize("name", ["x" * 251 + ".png", "图" * 83 + ".png", os.fsdecode(b"caf\xe9.png")])
def test_any_name_that_a_file_can_have(tmp_path, name):
    write_file(tmp_path / "new" / "folder" / name, b"new")
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == [name]


def test_the_message_names_the_file_the_reason_and_the_remedy(tmp_path):
    with pytest.raises(UserError) as told, writing(tmp_path / "page.html"):
        full()
    message = str(told.value)
    assert str(tmp_path / "page.html") in message
    assert "No space left on device" in message
    assert "choose another place" in message


def test_what_cannot_be_written_is_known_before_the_work_and_leaves_nothing(tmp_path):
    check_writable(tmp_path / "new" / "folder" / "page.html")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path, tmp_path / "file" / "page.html"):
        with pytest.raises(UserError, match=f"cannot write {path}: "):
            check_writable(path)
