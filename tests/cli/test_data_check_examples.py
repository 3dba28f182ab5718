import json
import tarfile

import pytest

from showtell.cli.main import run
from showtell.datasets.image_questions import read_split
from showtell.errors import UserError
from support import hostile


def labelled_folder(root) -> None:
    for number in range(8):
        for label in ("cat", "dog\nor wolf"):
            file = root / label / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            hostile.photograph(number + 10 * len(label)).save(file)


def test_one_folder_per_class_is_checked_as_labelled_images(ask, tmp_path, capsys) -> None:
    labelled_folder(tmp_path / "animals")
    status, (report,), said = ask("data", "check", tmp_path / "animals")
    assert (status, said, report["format"], report["problems"]) == (0, "", "labelled images", [])
    assert report["classes"] == {"cat": 8, "dog\nor wolf": 8}
    assert sum(report["splits"].values()) == 16
    assert min(report["splits"].values()) >= 1
    with tarfile.open(tmp_path / "animals.tar", "w") as archive:
        for folder in (tmp_path / "animals").iterdir():
            archive.add(folder, folder.name)
    assert ask("data", "check", tmp_path / "animals.tar")[1] == [
        report | {"path": str(tmp_path / "animals.tar")}
    ]

    assert run(["data", "check", str(tmp_path / "animals")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("animals: labelled images, 16 images of 2 classes")
    assert lines[1:3] == ["  8 images of cat", "  8 images of dog\\nor wolf"]
    assert [line.partition(" in the split ")[2] for line in lines[3:6]] == ["train", "val", "test"]
    assert lines[-1] == "  none has a caption, which a captioner needs"


def test_what_is_wrong_with_labelled_images_is_named(ask, tmp_path) -> None:
    labelled_folder(tmp_path)
    (tmp_path / "cat" / "bad.png").write_bytes(b"no image")
    (tmp_path / "cat" / "again.png").write_bytes((tmp_path / "cat" / "0.png").read_bytes())
    status, (report,), said = ask("data", "check", tmp_path)
    assert (status, said) == (1, "2 problems\n")
    found = {problem["file"].rpartition("/")[2]: problem for problem in report["problems"]}
    assert "replace the file" in found["bad.png"]["fix"]
    assert "is the same image as" in found.get("again.png", found.get("0.png"))["what"]


def test_why_a_run_would_refuse_labelled_images_is_said(ask, tmp_path) -> None:
    (tmp_path / "cat").mkdir()
    hostile.photograph(1).save(tmp_path / "cat" / "1.png")
    status, (report,), said = ask("data", "check", tmp_path)
    assert (status, report["format"]) == (1, "folder")
    assert "not read as labelled images" in said
    assert "holds 1 class; put the images of each class in a folder of its own" in said


def test_plain_photos_are_not_told_of_classes_and_an_image_is_no_data(ask, tmp_path) -> None:
    hostile.photograph(1).save(tmp_path / "1.png")
    status, (report,), said = ask("data", "check", tmp_path)
    assert (status, report["images"], said) == (1, 1, "1 problem\n")
    status, _, said = ask("data", "check", tmp_path / "1.png")
    assert (status, said) == (
        1,
        f"showtell: {tmp_path / '1.png'} is an image; name the folder that holds it\n",
    )


def test_folders_of_captioned_images_are_no_classes(ask, tmp_path) -> None:
    labelled_folder(tmp_path)
    (tmp_path / "cat" / "0.txt").write_text("a cat")
    assert ask("data", "check", tmp_path)[1][0]["format"] == "folder"
    (tmp_path / "cat" / "0.txt").unlink()
    assert ask("data", "check", tmp_path, "--format", "folder")[1][0]["format"] == "folder"


def test_examples_are_checked_with_file_line_and_fix(ask, tmp_path) -> None:
    (tmp_path / "train.conll").write_text("A\tDET\n\ndog\n")
    status, (report,), said = ask("data", "check", tmp_path)
    assert status == 1
    assert report["splits"] == {"train": 1}
    (problem,) = report["problems"]
    assert problem["line"] == 3
    assert problem["file"].endswith("train.conll")
    assert "a tab and its tag" in problem["fix"]
    assert "1 problem" in said
    (tmp_path / "train.conll").write_text("A\tDET\n")
    assert ask("data", "check", tmp_path / "train.conll", "--format", "conll")[0] == 0


def test_texts_are_counted_as_a_run_divides_them(ask, tmp_path) -> None:
    (tmp_path / "plain.txt").write_text("".join(f"Cat {n} sat.\n" for n in range(40)))
    status, (report,), _ = ask("data", "check", tmp_path / "plain.txt")
    assert (status, report["format"], report["classes"]) == (0, "texts", [])
    assert sum(report["splits"].values()) == 40
    assert report["splits"]["held out"] > 0
    assert ask("data", "check", tmp_path)[1][0]["splits"] == report["splits"]
    (tmp_path / "plain.txt").write_bytes(b"A cat sat.\nA dog \xff ran.\n")
    status, _, said = ask("data", "check", tmp_path)
    assert status == 1
    assert "plain.txt, line 2: is not UTF-8" in said


def test_labelled_texts_are_counted_with_their_classes(ask, tmp_path) -> None:
    (tmp_path / "train.tsv").write_text("sentence\tlabel\ngood\t1\nbad\t0\n \t0\n")
    (tmp_path / "test.tsv").write_text("sentence\tlabel\nfine\t1\n")
    status, (report,), _ = ask("data", "check", tmp_path)
    assert (status, report["format"]) == (0, "labelled texts")
    assert report["splits"] == {"train": 2, "held out": 1}
    assert (report["classes"], report["empty"]) == (["0", "1"], 1)


def test_captions_without_their_images_are_no_texts(ask, tmp_path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"file_name": "nowhere-1.jpg", "text": "A cat."}\n' * 3)
    status, _, said = ask("data", "check", tmp_path)
    assert status == 1
    assert "nowhere-1.jpg" in said
    (tmp_path / "rows.jsonl").unlink()
    (tmp_path / "captions.txt").write_text("image,caption\nnowhere-1.jpg,A cat.\nnowhere-2.jpg,A dog.\n")
    assert "holds no images" in ask("data", "check", tmp_path)[2]


def test_what_was_looked_for_names_every_kind_of_data(ask, tmp_path) -> None:
    (tmp_path / "odd.json").write_text('{"data": 5}')
    status, _, said = ask("data", "check", tmp_path)
    assert status == 1
    for part in ("karpathy:", "squad:", "image_table:", "texts:"):
        assert part in said


def test_examples_may_name_no_split(tmp_path, capsys) -> None:
    row = {"image": "1.png", "question": "what is it?", "answer": "a cat"}
    hostile.photograph(1).save(tmp_path / "1.png")
    (tmp_path / "questions.jsonl").write_text(json.dumps(row))
    run(["data", "check", str(tmp_path)])
    assert "  1 example in no named split\n" in capsys.readouterr().out
    with pytest.raises(UserError, match="it has questions that name no split"):
        read_split(tmp_path, "val")
