"""The split of an image is that of its row, its caption file or its folder; two splits are refused."""

import json
from pathlib import Path

import pytest
from PIL import Image

from showtell.data.captions.read import read_captions
from showtell.data.check import check_data
from showtell.datasets.captions import divide, read_captioned
from showtell.errors import UserError


def write(root: Path, files: dict[str, object]) -> Path:
    """Images, and other files with their content: rows as JSON Lines."""
    for number, (name, content) in enumerate(files.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            Image.new("RGB", (9, 9), (7 * number, 0, 0)).save(path)
        elif isinstance(content, str):
            path.write_text(content)
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in content))
    return root


def images(*names: str) -> dict[str, object]:
    return dict.fromkeys(names)


def splits(root: Path) -> dict[str, str | None]:
    return {entry.path.name: entry.split for entry in read_captions(root).entries}


def csv(*images: str) -> str:
    return "image,caption\n" + "".join(f"{image},A {image}.\n" for image in images)


@pytest.mark.parametrize("names", [("train", "test"), ("seg_train", "seg_test"), ("Training", "test_images")])
@pytest.mark.parametrize("around", ["", "images/"])
def test_a_metadata_file_at_the_root_names_images_of_split_folders(tmp_path, names, around, caplog) -> None:
    caplog.set_level("INFO")
    paths = [f"{around}{folder}/{folder}{n}.png" for folder in names for n in range(15)]
    rows = [{"file_name": path, "text": f"A thing {path}"} for path in paths]
    root = write(tmp_path, images(*paths) | {"metadata.jsonl": rows})
    divided = divide(read_captioned(root).entries)
    assert {e.path.parent.name for e in divided["train"] + divided["val"]} == {names[0]}
    assert len(divided["test"]) == 15
    assert f"the split of 15 images is that of the folder {names[1]}" in caplog.text
    assert "15 in test, 15 in train" in caplog.text
    assert check_data(root).splits == {"train": 15, "test": 15}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"test/a.png": 0, "train/b.png": 0, "t.csv": csv("test/a.png", "train/b.png")}, ("test", "train")),
        (
            {"a.png": 0, "b.png": 0, "my_test.csv": csv("a.png"), "my_train.csv": csv("b.png")},
            ("test", "train"),
        ),
        ({"test/a.png": 0, "b.png": 0, "captions.txt": csv("test/a.png", "b.png")}, ("test", None)),
        ({"test/a.png": 0, "test/a.txt": "A cat", "b.png": 0, "b.txt": "A dog"}, ("test", None)),
        ({"test/driving/a.png": 0, "driving test/b.png": 0}, ("test", None)),
        (
            {
                "test/a.png": 0,
                "train/b.png": 0,
                "coco.json": json.dumps(
                    {
                        "images": [
                            {"id": 1, "file_name": "test/a.png"},
                            {"id": 2, "file_name": "train/b.png"},
                        ],
                        "annotations": [{"image_id": i, "caption": "A cat"} for i in (1, 2)],
                    }
                ),
            },
            ("test", "train"),
        ),
    ],
)
def test_the_folder_counts_in_every_format(tmp_path, files, expected) -> None:
    found = splits(write(tmp_path, files))
    assert (found["a.png"], found["b.png"]) == expected


def test_a_caption_file_reaches_folders_beside_its_own(tmp_path) -> None:
    root = write(tmp_path / "test", {"notes/c.csv": csv("a.png", "b.png"), "val/a.png": 0, "all/b.png": 0})
    assert splits(root / "notes" / "c.csv") == {
        "a.png": "val",
        "b.png": None,
    }  # nothing above the data counts


@pytest.mark.parametrize(
    "files",
    [
        {"test/a.png": 0, "c.csv": "image,caption,split\ntest/a.png,A cat,train\n"},
        {"a.png": 0, "b.png": 0, "test.csv": "image,caption,split\na.png,A cat,train\nb.png,A dog,test\n"},
        {"train/a.png": 0, "test.csv": csv("train/a.png")},
        {"a.png": 0, "c.csv": "image,caption,split\na.png,A cat,train\na.png,A black cat,test\n"},
        {"a.png": 0, "train.csv": csv("a.png"), "test.csv": csv("a.png")},
        {"test/val/a.png": 0, "test/val/a.txt": "A cat"},
    ],
)
def test_two_splits_of_an_image_are_refused(tmp_path, files) -> None:
    root = write(tmp_path, files | {"x.png": 0})
    (problem,) = [problem for problem in check_data(root).problems if problem.two_splits]
    assert "test" in problem.what
    with pytest.raises(UserError, match=r"1 image in two splits, the first: .*data check"):
        read_captioned(root)


def test_a_column_divides_a_folder_that_is_named_after_a_year(tmp_path) -> None:
    """Karpathy's splits take their validation and test images from COCO's `val2014`."""
    rows = [{"filename": "a.png", "filepath": "val2014", "split": "test", "sentences": [{"raw": "A cat"}]}]
    root = write(tmp_path, {"val2014/a.png": 0, "dataset_coco.json": json.dumps({"images": rows})})
    assert splits(root) == {"a.png": "test"}
    assert not [problem for problem in read_captions(root).problems if problem.two_splits]
