"""The ways in which people write captions beside images: each is read, whatever the columns are called."""

import json
import os
from collections import Counter

import pytest

from showtell.data.captions.read import read_captions

CAT, DOG = "A cat, asleep.", "A dog."
ROWS = [{"image": "a.jpg", "caption": CAT}, {"image": "b.jpg", "caption": DOG}]


def rows(source) -> dict[str, tuple[str, ...]]:
    return {entry.path.name: entry.captions for entry in source.entries}


def jsonl(rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


FILES = {
    "captions.jsonl": jsonl(ROWS),
    "notes.jsonl": "\n" + jsonl({"file_name": row["image"], "text": row["caption"]} for row in ROWS),
    "list.json": json.dumps(ROWS),
    "wrapped.json": json.dumps({"info": {"year": 2020}, "data": ROWS}),
    "by_name.json": json.dumps({"a.jpg": [CAT], "b.jpg": [DOG]}),
    "one_each.json": json.dumps({"a.jpg": CAT, "b.jpg": DOG}),
    "objects.json": json.dumps({"a.jpg": {"caption": CAT}, "b.jpg": {"caption": DOG}}),
    "without_endings.json": json.dumps({"a": {"caption": CAT}, "b": {"caption": DOG}}),
    "wrapped_names.json": json.dumps({"version": 1, "captions": {"a.jpg": [CAT], "b.jpg": [DOG]}}),
    "lines.json": jsonl(ROWS),
    "inside_images.json": json.dumps(
        {
            "images": [
                {"id": 1, "file_name": "a.jpg", "caption": CAT},
                {"file_name": "b.jpg", "captions": [DOG]},
            ]
        }
    ),
    "pairs.json": json.dumps([["a.jpg", CAT], ["b.jpg", [DOG]]]),
    "open_clip.csv": f"filepath\ttitle\na.jpg\t{CAT}\nb.jpg\t{DOG}\n",
    "titles.csv": f'filepath,title\na.jpg,"{CAT}"\nb.jpg,{DOG}\n',
    "path.csv": f'Image Path,Alt Text\na.jpg,"{CAT}"\nb.jpg,{DOG}\n',
    "ids.csv": f'image_id,caption\na,"{CAT}"\nb,{DOG}\n',
    "headless.csv": f'a.jpg,"{CAT}"\nb.jpg,{DOG}\n',
    "headless.tsv": f"a.jpg\t{CAT}\nb.jpg\t{DOG}\n",
    "numbered.tsv": f"a.jpg#0\t{CAT}\nb.jpg#0\t{DOG}\n",
    "caption_first.csv": f'"{CAT}",a.jpg\n{DOG},b.jpg\n',
    "captions.txt": f"a.jpg\t{CAT}\nb.jpg\t{DOG}\n",
    "captions.csv": f'\ufeffa.jpg;"{CAT}"\r\nb.jpg;{DOG}\r\n',
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", ["a.jpg b.jpg", "images/a.jpg images/b.jpg"])
def test_a_file_at_the_root(folder, name: str, place: str) -> None:
    root = folder(*place.split())
    (root / name).write_bytes(FILES[name].encode())
    source = read_captions(root)
    assert rows(source) == {"a.jpg": (CAT,), "b.jpg": (DOG,)}
    assert (source.problems, source.unused) == ([], [])
    assert rows(read_captions(root / name)) == rows(source)


@pytest.mark.parametrize(
    "name", ["metadata.jsonl", "captions.jsonl", "list.json", "by_name.json", "titles.csv", "headless.csv"]
)
@pytest.mark.parametrize("inside", ["", "images/"])
def test_a_file_per_split(folder, name: str, inside: str) -> None:
    root = folder(*(f"{split}/{inside}{i}.jpg" for split in ("train", "test") for i in "ab"))
    for split in ("train", "test"):
        text = FILES["notes.jsonl" if name.startswith("meta") else name]
        (root / split / name).write_text(text.replace("cat", split))
    if inside and name.startswith("meta"):  # names there are relative to the file
        for split in ("train", "test"):
            file = root / split / name
            file.write_text(
                file.read_text().replace('"a.jpg', '"images/a.jpg').replace('"b.jpg', '"images/b.jpg')
            )
    source = read_captions(root)
    assert {(e.split, e.captions[0]) for e in source.entries} == {
        (split, caption) for split in ("train", "test") for caption in (CAT.replace("cat", split), DOG)
    }
    assert all(entry.path.parent.parent.name == entry.split or not inside for entry in source.entries)
    assert (source.problems, source.unused) == ([], [])


def test_one_key_per_split(folder) -> None:
    root = folder("a.jpg", "b.jpg")
    (root / "captions.json").write_text(json.dumps({"train": ROWS[:1], "validation": {"b.jpg": [DOG]}}))
    found = read_captions(root)
    assert {(e.path.name, e.captions, e.split) for e in found.entries} == {
        ("a.jpg", (CAT,), "train"),
        ("b.jpg", (DOG,), "val"),
    }


@pytest.mark.parametrize("name", ["metadata.jsonl", "captions.jsonl"])
def test_an_enclosing_folder(folder, name: str) -> None:
    root = folder("data/train/a.jpg", "data/train/b.jpg")
    (root / "data/train" / name).write_text(FILES["notes.jsonl"])
    source = read_captions(root)
    assert (rows(source), source.problems) == ({"a.jpg": (CAT,), "b.jpg": (DOG,)}, [])
    assert {entry.split for entry in source.entries} == {"train"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.TXT", CAT),
        ("a.caption", CAT),
        ("a.jpg.txt", CAT),
        ("a.json", json.dumps({"caption": CAT, "url": "x"})),
        ("a.json", json.dumps({"captions": [CAT]})),
        ("a.jpg.json", json.dumps({"title": "a.jpg", "description": CAT})),
        ("a.JSON", json.dumps([CAT])),
    ],
)
def test_a_file_per_image(folder, name: str, text: str) -> None:
    root = folder("a.jpg", "deep/b.jpg")
    (root / name).write_text(text)
    source = read_captions(root)
    assert rows(source) == {"a.jpg": (CAT,), "b.jpg": ()}
    assert (source.format, source.problems, source.unused) == ("folder", [], [])


def test_two_files_per_image_say_a_caption_once(folder) -> None:
    """As img2dataset writes them."""
    root = folder("00000/000000001.jpg")
    (root / "00000/000000001.txt").write_text(CAT)
    (root / "00000/000000001.json").write_text(json.dumps({"caption": CAT, "key": "000000001"}))
    source = read_captions(root)
    assert (rows(source), source.problems) == ({"000000001.jpg": (CAT,)}, [])


@pytest.mark.parametrize("at", ["", "annotations/"])
@pytest.mark.parametrize("below", ["train2017/", "images/train2017/", "coco/images/"])
def test_coco_with_its_images_below(folder, at: str, below: str) -> None:
    root = folder(f"{below}a.jpg")
    value = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [{"image_id": 1, "id": 1, "caption": CAT}],
    }
    (root / at).mkdir(exist_ok=True)
    (root / at / "captions_train2017.json").write_text(json.dumps(value))
    source = read_captions(root)
    assert (source.format, rows(source), source.problems) == ("coco", {"a.jpg": (CAT,)}, [])


def test_of_equal_names_that_in_the_folder_of_the_split_is_meant(folder) -> None:
    root = folder("images/train2017/a.jpg", "images/val2017/a.jpg")
    for split in ("train", "val"):
        value = {
            "images": [{"id": 1, "file_name": "a.jpg"}],
            "annotations": [{"image_id": 1, "id": 1, "caption": split}],
        }
        (root / f"captions_{split}2017.json").write_text(json.dumps(value))
    found = {entry.path.parent.name: entry.captions for entry in read_captions(root).entries}
    assert found == {"train2017": ("train",), "val2017": ("val",)}


def test_each_folder_is_listed_once(folder, monkeypatch) -> None:
    root = folder(*(f"images/{i}/{i}.jpg" for i in range(20)))
    lines = [f"{i}.jpg,caption {i}" for i in range(20)] + [f"gone{i}.jpg,caption" for i in range(300)]
    lines += [f"images/0/gone{i}.jpg,caption" for i in range(100)]
    (root / "data.csv").write_text("\n".join(["image,caption", *lines]))
    listed, listing, stat = [], os.scandir, os.stat
    asked = []
    monkeypatch.setattr(os, "scandir", lambda path=".": listed.append(str(path)) or listing(path))
    monkeypatch.setattr(os, "stat", lambda path, **options: asked.append(path) or stat(path, **options))
    source = read_captions(root / "data.csv")
    assert len(source.entries) == 20
    assert len(source.problems) == 400
    assert max(Counter(listed).values()) <= 4  # its folders, its files, and those that hold a named folder
    assert not [path for path in asked if "gone" in str(path)]


def test_system_folders_hold_no_image(folder) -> None:
    root = folder("images/a.jpg", "@eaDir/b.jpg", "__MACOSX/c.jpg")
    (root / "data.csv").write_text("image,caption\na.jpg,A\nb.jpg,B\nc.jpg,C\n")
    assert rows(read_captions(root)) == {"a.jpg": ("A",)}
