"""Labelled images: classes and splits in paths, archives read in place, hostile archives."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from showtell.data.images.decode import ImageError
from showtell.data.labels import images as classes
from showtell.data.labels.images import read_classes
from showtell.errors import UserError


def png(shade: int = 0) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), shade, np.uint8)).save(file, "PNG")
    return file.getvalue()


def write(root: Path, names: list[str]) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png())
    return root


def archive(path: Path, files: dict[str, bytes], mode: str = "w:xz") -> Path:
    with tarfile.open(path, mode) as out:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            out.addfile(member, io.BytesIO(data))
    return path


SPLIT = [
    f"{split}/{label}/{i}.png" for split in ("train", "test") for label in ("cat", "狗") for i in range(3)
]
PLAIN = [f"{label}/{deeper}{i}.png" for label in ("cat", "dog") for i in range(30) for deeper in ("", "x/")]


def uses(found: classes.Classes) -> dict[str, tuple[str, bool]]:
    return {item.name: (found.names[item.label], item.held_out) for item in found.items}


@pytest.mark.parametrize("around", ["", "data/images/"])
def test_splits_and_classes_are_folders(tmp_path, around) -> None:
    found = read_classes(write(tmp_path, [around + name for name in SPLIT]))
    assert found.names == ("cat", "狗")
    expected = {around + n: (n.split("/")[1], n.startswith("test")) for n in SPLIT}
    assert uses(found) == expected


def test_a_folder_and_an_archive_of_it_are_the_same(tmp_path) -> None:
    folder = write(tmp_path / "data", SPLIT)
    for mode in ("w", "w:gz", "w:xz"):
        packed = archive(tmp_path / "data.tar", {name: png() for name in SPLIT}, mode)
        assert uses(read_classes(packed)) == uses(read_classes(folder))


@pytest.mark.parametrize(("splits", "measured"), [(["test", "val"], "test"), (["valid"], "valid")])
def test_test_is_held_out_before_val(tmp_path, splits, measured) -> None:
    names = [f"{s}/{label}/{i}.png" for s in ["train", *splits, "extra"] for label in "ab" for i in range(2)]
    found = uses(read_classes(write(tmp_path, names)))
    assert {name.split("/")[0] for name in found} == {"train", measured}
    assert all(is_measured == name.startswith(measured) for name, (_, is_measured) in found.items())


def test_without_splits_the_same_fifth_is_always_held_out(tmp_path) -> None:
    found = uses(read_classes(write(tmp_path, [*PLAIN, "beside.png"])))
    assert set(found) == set(PLAIN)
    assert 10 < sum(measured for _, measured in found.values()) < 40  # of 120
    assert uses(read_classes(tmp_path)) == found
    assert {label for label, _ in found.values()} == {"cat", "dog"}


def test_contents_of_a_folder_and_of_an_archive(tmp_path) -> None:
    files = {name: png(shade) for shade, name in enumerate(SPLIT)}
    packed = read_classes(archive(tmp_path / "a.tar.xz", files))
    chosen = packed.items[1:5]
    assert {item.name: data for item, data in packed.contents(chosen)} == {
        i.name: files[i.name] for i in chosen
    }
    folder = read_classes(write(tmp_path / "f", SPLIT))
    (tmp_path / "f" / folder.items[0].name).unlink()
    (_, gone), (_, data) = folder.contents(folder.items[:2])
    assert isinstance(gone, ImageError)
    assert data == png()


def test_hidden_and_other_files_are_ignored(tmp_path) -> None:
    junk = ["train/cat/._1.png", "__MACOSX/x/1.png", "train/cat/notes.txt", ".git/cat/1.png"]
    found = read_classes(archive(tmp_path / "a.tar", {name: png() for name in [*SPLIT, *junk]}, "w"))
    assert set(uses(found)) == set(SPLIT)


def test_parent_folders_in_names_do_nothing(tmp_path) -> None:
    """Nothing is unpacked, so `..` and a leading `/` can do nothing."""
    names = [f"../../{label}/{i}.png" for label in ("cat", "dog") for i in range(20)]
    found = read_classes(archive(tmp_path / "a.tar", {name: png() for name in names}))
    assert found.names == ("cat", "dog")
    assert len(list(found.contents(found.items))) == 40
    assert sorted(tmp_path.iterdir()) == [tmp_path / "a.tar"]


def test_a_file_too_large_is_not_read(tmp_path, monkeypatch) -> None:
    found = read_classes(archive(tmp_path / "a.tar", {n: png() + b" " * 99 * (n == SPLIT[0]) for n in SPLIT}))
    monkeypatch.setattr(classes, "LARGEST", 150)
    refused = [item.name for item, data in found.contents(found.items) if isinstance(data, ImageError)]
    assert refused == [SPLIT[0]]


@pytest.mark.parametrize("broken", ["cut", "text", "missing"])
def test_a_damaged_archive_is_named(tmp_path, broken) -> None:
    path = tmp_path / "a.tar.xz"
    if broken != "missing":
        noise = np.random.default_rng(0).bytes(5000)
        whole = archive(path, {name: png() + noise for name in SPLIT}).read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if broken == "cut" else b"hello, this is no archive at all")
    with pytest.raises(UserError, match=r"a\.tar\.xz"):
        read_classes(path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "0 classes"),
        (["a.png", "b.png"], "0 classes"),
        (["cat/a.png", "cat/b.png"], "1 class;"),
        (["train/cat/a.png", "test/dog/a.png"], "'dog' has no training images"),
    ],
)
def test_too_little_is_refused(tmp_path, names, message) -> None:
    with pytest.raises(UserError, match=message):
        read_classes(write(tmp_path, names))


def grid(*folders: str, count: int = 8) -> list[str]:
    return [f"{folder}/{n}.png" for folder in folders for n in range(count)]


@pytest.mark.parametrize("names", [("seg_train", "seg_test"), ("Train2014", "val2014"), ("x-train", "x-val")])
@pytest.mark.parametrize(
    "form", ["{split}/{label}", "{split}/{split}/{label}", "{split}/images/{label}", "{label}/{split}"]
)
@pytest.mark.parametrize("around", ["", "data/intel/"])
def test_folders_of_splits_are_no_classes(tmp_path, names, form, around) -> None:
    training, tested = (
        grid(*(around + form.format(split=split, label=label) for label in ("street", "forest")))
        for split in names
    )
    found = read_classes(write(tmp_path, training + tested))
    assert found.names == ("forest", "street")
    assert {item.name for item in found.items if item.held_out} == {*tested}
    assert {item.name for item in found.items if not item.held_out} == {*training}


def test_a_split_in_the_name_of_a_class_is_taken_off(tmp_path) -> None:
    found = read_classes(write(tmp_path, grid("cat_train", "cat_test", "dog_train", "dog_test")))
    assert found.names == ("cat", "dog")
    assert {item.name.split("/")[0] for item in found.items if item.held_out} == {"cat_test", "dog_test"}


@pytest.mark.parametrize("flat", ["test", "test1", "validation"])
def test_images_of_a_split_without_classes_are_not_used(tmp_path, flat, caplog) -> None:
    found = read_classes(write(tmp_path, grid("train/cat", "train/dog", count=30) + grid(flat)))
    assert found.names == ("cat", "dog")
    assert {item.name.split("/")[0] for item in found.items} == {"train"}
    assert 3 < sum(item.held_out for item in found.items) < 25
    assert f"8 images without a class not used: 8 in {flat}" in caplog.text


def test_images_beside_the_classes_are_named_by_the_folder_itself(tmp_path, caplog) -> None:
    root = write(tmp_path, [*grid("cat", "dog"), "loose.png"])
    assert read_classes(root).names == ("cat", "dog")
    assert f"1 image without a class not used: 1 in {root}" in caplog.text


def test_a_test_folder_beside_classes_is_for_testing(tmp_path) -> None:
    found = read_classes(write(tmp_path, grid("cat", "dog", "test/cat", "test/dog")))
    assert found.names == ("cat", "dog")
    assert {item.name for item in found.items if item.held_out} == {*grid("test/cat", "test/dog")}


@pytest.mark.parametrize("around", [("",), ("train/", "test/")])
def test_a_train_among_vehicles_is_a_class_and_said(tmp_path, around, caplog) -> None:
    names = grid(*(outer + label for outer in around for label in ("bus", "car", "train")), count=30)
    found = read_classes(write(tmp_path, names))
    assert found.names == ("bus", "car", "train")
    assert len(found.items) == len(names)
    assert "'train' taken as a class" in caplog.text


def test_classes_that_hold_such_a_word_are_classes_and_said(tmp_path, caplog) -> None:
    labels = ("bullet_train", "train_station", "test_tube", "valley")
    assert read_classes(write(tmp_path, grid(*labels, count=30))).names == tuple(sorted(labels))
    assert "'bullet_train', 'test_tube', 'train_station' taken as a class" in caplog.text


def test_folders_that_hold_the_same_classes_as_train_are_no_classes(tmp_path, caplog) -> None:
    found = read_classes(write(tmp_path, grid(*(f"{s}/{c}" for s in ("train", "holdout") for c in "ab"))))
    assert found.names == ("a", "b")
    assert "16 images beside the splits not used: 16 in holdout" in caplog.text


def test_what_is_used_and_what_is_not_is_said(tmp_path, caplog) -> None:
    caplog.set_level("INFO")
    read_classes(write(tmp_path, grid(*(f"{s}/{c}" for s in ("train", "val", "test", "more") for c in "ab"))))
    assert "16 in train, 16 in val" in caplog.text or "16 in test, 16 in train" in caplog.text
    assert "16 images of the split val not used" in caplog.text
    assert "16 images beside the splits not used: 16 in more" in caplog.text


def test_an_image_in_two_splits_is_refused(tmp_path) -> None:
    with pytest.raises(UserError, match=r"train/a/test/0\.png is in two splits, train and test"):
        read_classes(write(tmp_path, grid("train/a/test", "train/b", "test/a", "test/b")))


def test_splits_without_any_to_train_on_are_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="no training images"):
        read_classes(write(tmp_path, grid("test/a", "test/b", "val/a", "val/b")))


def test_a_folder_without_classes_is_refused_without_a_word_of_unused_images(tmp_path, caplog) -> None:
    with pytest.raises(UserError, match="holds 0 classes"):
        read_classes(write(tmp_path, ["a.png", "b.png"]))
    assert caplog.text == ""
