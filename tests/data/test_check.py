import json
import os
from pathlib import Path

import pytest

from showtell.cli.main import run
from showtell.data.captions.entry import Problem
from showtell.data.check import alike, check_data, unreadable
from showtell.data.images.decode import ImageError
from showtell.errors import UserError
from showtell.progress import shown_by
from support import hostile


def photograph(seed: int) -> bytes:
    return hostile.encoded(hostile.photograph(seed), "JPEG")


def test_report(tmp_path) -> None:
    names = {
        "a.jpg": 1,
        "b.jpg": 2,
        "copy of a.jpg": 1,
        "again a.jpg": 1,
        "c.jpg": 3,
        "unlisted.jpg": 4,
        "bare.jpg": 5,
    }
    for name, seed in names.items():
        (tmp_path / name).write_bytes(photograph(seed))
    (tmp_path / "cut.jpg").write_bytes(photograph(6)[:900])
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nowhere.jpg")
    splits = {
        "a.jpg": "train",
        "b.jpg": "train",
        "copy of a.jpg": "val",
        "again a.jpg": "train",
        "c.jpg": "val",
    }
    images = [
        {"filename": n, "split": s, "sentences": [{"raw": f"{n} {i}"} for i in range(2)]}
        for n, s in splits.items()
    ]
    images += [{"filename": n, "split": "val", "sentences": [{"raw": "x"}]} for n in ("cut.jpg", "link.jpg")]
    images += [{"filename": "bare.jpg", "split": "val", "sentences": []}]
    (tmp_path / "dataset.json").write_text(json.dumps({"images": images}))
    seen = []
    with shown_by(lambda what, done, total, note: seen.append((done, total))):
        report = check_data(tmp_path)
    assert (report.path, report.format, report.images, report.captions) == (tmp_path, "karpathy", 8, 12)
    assert report.captions_per_image == {0: 1, 1: 2, 2: 5}
    assert report.splits == {"val": 5, "train": 3}
    assert seen == [(n, 8) for n in range(1, 9)]
    found = {problem.file.name: problem for problem in report.problems}
    assert len(report.problems) == len(found) == 6
    assert "no caption" in found["bare.jpg"].what
    assert "cut short" in found["cut.jpg"].what
    assert "does not exist" in found["link.jpg"].what
    assert "leaks from the split 'train' to 'val'" in found["copy of a.jpg"].what
    assert "leaks" not in found["again a.jpg"].what
    assert "1 image without a row: unlisted.jpg" in found[tmp_path.name].what
    assert all(problem.fix for problem in report.problems)


def test_hostile_folder(tmp_path) -> None:
    expected = hostile.build(tmp_path)
    report = check_data(tmp_path)
    assert report.images == len(expected)
    skipped = {p.file.relative_to(tmp_path).as_posix() for p in report.problems if p.file != tmp_path}
    assert skipped == {name for name, outcome in expected.items() if outcome == "skip"}
    assert [p.what for p in report.problems if p.file == tmp_path] == ["no image has a caption"]


def test_a_clean_set_has_no_problem(tmp_path) -> None:
    (tmp_path / "a.jpg").write_bytes(photograph(1))
    (tmp_path / "a.txt").write_text("A cat.\nA small cat.\n")
    report = check_data(tmp_path)
    assert (report.problems, report.captions, report.splits) == ([], 2, {None: 1})


def test_nothing_to_check(tmp_path) -> None:
    with pytest.raises(UserError, match="no images"):
        check_data(tmp_path)


def test_real_photographs(shared_data) -> None:
    report = check_data(shared_data / "photos")
    assert (report.images, report.captions, report.captions_per_image) == (120, 600, {5: 120})
    assert report.problems == []


@pytest.mark.slow
def test_real_flickr8k(shared_data) -> None:
    report = check_data(shared_data / "flickr8k", "karpathy")
    assert (report.images, report.captions) == (7000, 35000)
    assert report.splits == {"train": 6000, "val": 1000}
    assert not any("leaks" in problem.what for problem in report.problems)


def test_equal_faults_are_grouped(tmp_path, capsys) -> None:
    (tmp_path / "a.jpg").write_bytes(photograph(1))
    (tmp_path / "@eaDir").mkdir()
    lines = ["image,caption", "a.jpg,A cat", "a.jpg,  ", *(f"gone{i}'s.jpg,A dog" for i in range(5000))]
    (tmp_path / "captions.txt").write_text("\n".join(lines))
    for i in range(6):
        (tmp_path / f"{i}.csv").write_text("who,what\n")
    assert run(["data", "check", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    said = [line.partition(f"{tmp_path}/")[2] for line in out.splitlines() if "is missing" in line]
    assert [line.partition(";")[0] for line in said] == [
        f'captions.txt:{line}: image "gone{i}\'s.jpg" is missing' for i, line in enumerate((4, 5, 6))
    ]
    assert "and 4,997 more like these" in out
    assert "not used: and 3 more like these" in out
    assert "passed over: @eaDir\n" in out
    assert len(out.splitlines()) == 13
    assert err.splitlines()[-1] == "5001 problems"
    assert run(["data", "check", str(tmp_path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (len(found["problems"]), len(found["unused"]), found["passed_over"]) == (5001, 6, {"@eaDir": 1})


def test_faults_of_another_kind_stay_apart() -> None:
    a, b, c, d = (
        Problem(Path("a"), 1, "image 'it\\'s.jpg' is missing", "put it there (looked in /x/y, /z)"),
        Problem(Path("a"), 2, 'image "b\'s.jpg" is missing', "put it there (looked in /x)"),
        Problem(Path("a"), 3, "a caption of 'c' is empty", "write one"),
        Problem(Path("/x/d.jpg"), None, "is the same image as /x/a b.jpg", "delete one of them"),
    )
    e = Problem(Path("/x/e.jpg"), None, "is the same image as /y/c.jpg", "delete one of them")
    leak = Problem(Path("/x/f.jpg"), None, "is the same image as /y/c.jpg, and leaks from", "delete")
    assert alike([a, c, b, d, leak, e]) == [[a, b], [c], [d, e], [leak]]


def test_a_folder_that_cannot_be_listed_is_said_so(tmp_path, monkeypatch) -> None:
    (tmp_path / "a.jpg").write_bytes(photograph(1))
    (closed := tmp_path / "closed").mkdir()
    listing = os.scandir

    def scandir(path="."):
        if os.fspath(path) == str(closed):
            raise PermissionError(13, "Permission denied", str(closed))
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = check_data(tmp_path)
    assert (found.images, found.splits) == (1, {None: 1})
    (closed_one,) = [problem for problem in found.problems if problem.file == closed]
    assert str(closed_one).endswith("is a folder that cannot be listed: Permission denied; make it readable")


def test_what_cannot_be_read_has_one_way_out(tmp_path) -> None:
    def said(reason: str) -> str:
        problem = unreadable(ImageError("a.jpg", reason), tmp_path / "a.jpg", "delete it")
        return f"{problem.what}; {problem.fix}"

    assert said("is a TIFF; save it as JPEG") == "is a TIFF; save it as JPEG"
    assert (
        said("cannot be opened: Permission denied") == "cannot be opened: Permission denied; allow reading it"
    )
    assert said("is empty") == "is empty; replace the file, or delete it"


def test_a_table_that_gives_no_caption_is_the_reason_that_there_are_none(tmp_path) -> None:
    (tmp_path / "a.jpg").write_bytes(photograph(1))
    (tmp_path / "mine.csv").write_text("foo,bar\nx,A cat\n")
    (first, *rest) = check_data(tmp_path).problems
    assert (first.what, rest) == ("no image has a caption", [])
    told = "no column of 'foo', 'bar' holds the image; rename the one that does to 'file_name'"
    assert first.fix == f"mine.csv gives none: {told}"
    (tmp_path / "mine.csv").write_bytes(b"image,caption\na.jpg,caf\xe9\n")
    last = check_data(tmp_path).problems[-1]
    assert last.fix == "mine.csv gives none: is not UTF-8; save the file as UTF-8"


def test_a_line_that_is_not_utf8_is_named_once(tmp_path) -> None:
    (tmp_path / "a.jpg").write_bytes(photograph(1))
    rows = ["image,caption", "a.jpg,A cat", "a.jpg,caf\xe9", "a.jpg,th\xe9"]
    (tmp_path / "captions.csv").write_bytes("\n".join(rows).encode("latin-1"))
    found = check_data(tmp_path).problems
    assert [(one.line, one.what.rpartition(" ")[2]) for one in found] == [(3, "UTF-8"), (4, "characters")]


def test_a_kind_that_cannot_be_read_is_a_problem(tmp_path) -> None:
    (tmp_path / "a.jpg").write_bytes(photograph(1))
    (tmp_path / "a.txt").write_text("A cat.\n")
    (tmp_path / "b.CR2").write_bytes(b"II*\0\x10\0\0\0CR\2\0")
    found = {problem.file.name: problem.what for problem in check_data(tmp_path).problems}
    assert found["b.CR2"].startswith("is a camera raw image (CR2), which cannot be read here")
