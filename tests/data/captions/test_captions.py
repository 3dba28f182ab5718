import csv
import io
import json

import pytest

from showtell.data.captions import formats
from showtell.data.captions.entry import Source
from showtell.data.captions.read import known_formats, read_captions
from showtell.data.splits import split_name
from showtell.errors import UsageError, UserError


def rows(source: Source) -> dict[str, tuple[str, ...]]:
    return {entry.path.name: entry.captions for entry in source.entries}


def splits(source: Source) -> dict[str, str | None]:
    return {entry.path.name: entry.split for entry in source.entries}


def complaints(source: Source) -> list[tuple[str, int | None, str]]:
    return [(problem.file.name, problem.line, problem.what) for problem in source.problems]


def test_bare_folder(folder) -> None:
    source = read_captions(folder("b.jpg", "deep/猫 1.PNG"))
    assert source.format == "folder"
    assert rows(source) == {"b.jpg": (), "猫 1.PNG": ()}
    assert source.problems == []


def test_sidecars(folder) -> None:
    root = folder("train/a.jpg", "val/b.jpg", "val/c.jpg", "val/d.jpg")
    (root / "train/a.txt").write_text("A cat.\n\n一只猫。\n")
    (root / "val/b.jpg.txt").write_text("A dog.\n")
    (root / "val/c.txt").write_text(" \n")
    (root / "val/gone.txt").write_text("A ghost.\n")
    source = read_captions(root)
    assert rows(source) == {"a.jpg": ("A cat.", "一只猫。"), "b.jpg": ("A dog.",), "c.jpg": (), "d.jpg": ()}
    assert splits(source) == {"a.jpg": "train", "b.jpg": "val", "c.jpg": "val", "d.jpg": "val"}
    assert complaints(source) == [
        ("c.txt", None, "is empty"),
        ("gone.txt", None, "has no image of its name"),
    ]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_imagefolder(folder, kind: str) -> None:
    root = folder("train/a.jpg", "train/b/b.jpg", "test/c.jpg")
    for split, names in {"train": ("a.jpg", "b/b.jpg"), "test": ("c.jpg",)}.items():
        records = [{"file_name": name, "text": f"This, is {name}"} for name in names]
        file = root / split / f"metadata.{kind}"
        if kind == "parquet":
            pyarrow = pytest.importorskip("pyarrow")
            pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(records), file)
        elif kind == "csv":
            file.write_text(
                "file_name,text\n" + "".join(f'{r["file_name"]},"{r["text"]}"\n' for r in records)
            )
        else:
            file.write_text("".join(json.dumps(r) + "\n" for r in records))
    source = read_captions(root)
    assert source.format == "imagefolder"
    assert source.problems == []
    assert rows(source) == {
        "a.jpg": ("This, is a.jpg",),
        "b.jpg": ("This, is b/b.jpg",),
        "c.jpg": ("This, is c.jpg",),
    }
    assert splits(source) == {"a.jpg": "train", "b.jpg": "train", "c.jpg": "test"}


def test_imagefolder_with_many_captions_and_bad_rows(folder) -> None:
    root = folder("a.jpg", "b.jpg", "deeper/c.jpg")
    lines = [
        '{"file_name": "c.jpg", "text": "elsewhere"}',
        '{"file_name": "a.jpg", "captions": ["one", "two", "two", 3, null]}',
        '{"file_name": "b.jpg", "captions": ["three"], }',
        '["b.jpg", "four"]',
        '{"file_name": "b.jpg", "captions": "five"}',
        '{"image_of": "b.jpg"}',
        '{"file_name": 7, "captions": "six"}',
        '{"file_name": "\\u0000.jpg", "captions": "six"}',
        '{"file_name": "b.jpg", "captions": "half a \\ud83d"}',
        '{"file_name": "' + "x" * 5000 + '.jpg", "captions": "long"}',
    ]
    (root / "metadata.jsonl").write_text("\n".join(lines))
    source = read_captions(root)
    assert rows(source) == {"a.jpg": ("one", "two", "two"), "b.jpg": ("five",)}
    assert [line for _, line, _ in complaints(source)] == [1, 2, 2, 3, 4, 6, 7, 8, 9, 10]
    assert "not valid JSON at column" in source.problems[3].what


def test_flickr8k_captions(folder) -> None:
    root = folder("Images/a.jpg", "Images/b.jpg")
    (root / "captions.txt").write_text(
        'image,caption\na.jpg,A cat .\na.jpg,"A cat, a dog ."\nb.jpg,A 5" dog\n'
    )
    source = read_captions(root)
    assert source.format == "flickr8k"
    assert rows(source) == {"a.jpg": ("A cat .", "A cat, a dog ."), "b.jpg": ('A 5" dog',)}
    assert read_captions(root / "captions.txt") == source


def test_flickr8k_tokens_and_split_lists(folder) -> None:
    root = folder(*(f"Flicker8k_Dataset/{name}.jpg" for name in "abcd"))
    texts = root / "Flickr8k_text"
    texts.mkdir()
    (texts / "Flickr8k.token.txt").write_text(
        "a.jpg#0\tA cat .\na.jpg#1\tTwo cats .\nb.jpg#0\tA dog .\n"
        "c.jpg#0\tA bird .\nd.jpg#0\tA cow .\nd.jpg A cow\n"
    )
    (texts / "Flickr_8k.trainImages.txt").write_text("a.jpg\r\n")
    (texts / "Flickr_8k.devImages.txt").write_text("b.jpg\na.jpg\n")
    (texts / "Flickr_8k.testImages.txt").write_text("c.jpg\ngone.jpg\n")
    source = read_captions(root)
    assert source.format == "flickr8k"
    assert rows(source)["a.jpg"] == ("A cat .", "Two cats .")
    assert splits(source)["b.jpg"] == "val"
    assert splits(source)["c.jpg"] == "test"
    assert splits(source)["d.jpg"] == "unused"
    assert {what[:2] for what in complaints(source)} == {
        ("Flickr8k.token.txt", 6),
        ("Flickr_8k.testImages.txt", 2),
        ("Flickr_8k.trainImages.txt", 1),
    }
    assert rows(read_captions(texts)) == rows(source)


def test_karpathy(folder) -> None:
    root = folder("images/a.jpg", "images/b.jpg", "train2014/c.jpg", "val2014/c.jpg")
    images = [
        {"filename": "a.jpg", "split": "train", "sentences": [{"raw": " A\ncat. "}, {"raw": "A cat."}]},
        {"filename": "b.jpg", "split": "restval", "sentences": [{"raw": "A dog."}, {"tokens": []}, "plain"]},
        {"filename": "c.jpg", "filepath": "val2014", "split": "holiday", "sentences": []},
        {"filename": "gone.jpg", "split": "test", "sentences": [{"raw": "x"}]},
        "nonsense",
    ]
    (root / "dataset_x.json").write_text(json.dumps({"dataset": "x", "images": images}))
    source = read_captions(root)
    assert source.format == "karpathy"
    assert rows(source) == {"a.jpg": ("A cat.", "A cat."), "b.jpg": ("A dog.", "plain"), "c.jpg": ()}
    assert splits(source) == {"a.jpg": "train", "b.jpg": "train", "c.jpg": "holiday"}
    assert source.entries[2].path.parent.name == "val2014"
    found = " | ".join(problem.what for problem in source.problems)
    for what in ("'b.jpg' is empty", "split 'holiday'", "image 'gone.jpg' is missing", "images[4]"):
        assert what in found
    assert len(source.problems) == 4


def test_coco(folder) -> None:
    root = folder("train2014/a.jpg", "val2014/b.jpg")
    (root / "annotations").mkdir()
    for split, name in (("train", "a.jpg"), ("val", "b.jpg")):
        value = {
            "images": [{"id": 7, "file_name": name}, {"file_name": name}, {"id": 8, "file_name": "gone.jpg"}],
            "annotations": [
                {"image_id": 7, "id": 1, "caption": "A cat."},
                {"image_id": 7, "id": 2, "caption": "A dog."},
                {"image_id": 9, "id": 3, "caption": "Nobody."},
                {"caption": "Nothing."},
            ],
        }
        (root / "annotations" / f"captions_{split}2014.json").write_text(json.dumps(value))
    (root / "annotations" / "instances_train2014.json").write_text(
        '{"images": [{"file_name": "a.jpg"}], "annotations": ['
    )
    source = read_captions(root)
    assert source.format == "coco"
    assert rows(source) == {"a.jpg": ("A cat.", "A dog."), "b.jpg": ("A cat.", "A dog.")}
    assert splits(source) == {"a.jpg": "train", "b.jpg": "val"}
    assert len(source.problems) == 8
    assert [problem.what for problem in source.unused] == ["is a file of COCO without captions"]
    assert rows(read_captions(root / "annotations" / "captions_val2014.json")) == {
        "b.jpg": ("A cat.", "A dog.")
    }


@pytest.mark.parametrize(
    "text",
    [
        "filename\tsentence\tset\na.jpg\tA cat, here\tdev\n",
        "Image Name| comment_number| comment| Split\na.jpg| 0| A cat, here| validation\n",
        "图片;描述;split\r\na.jpg;A cat, here;val\r\n",
        'caption_1,caption_2,image,partition\n"A cat, here",,a.jpg,val\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_table(folder, text: str, encoding: str) -> None:
    root = folder("images/a.jpg")
    (root / "mine.csv").write_bytes(text.encode(encoding))
    source = read_captions(root)
    assert (source.format, rows(source), splits(source)) == (
        "table",
        {"a.jpg": ("A cat, here",)},
        {"a.jpg": "val"},
    )


def test_table_named_after_its_split(folder) -> None:
    root = folder("a.jpg", "b.jpg", "c.jpg")
    for name, image in (("train", "a"), ("valid", "b"), ("rest", "c")):
        (root / f"{name}.tsv").write_text(f"image\tcaption\n{image}.jpg\tA {image}\n")
    assert splits(read_captions(root)) == {"a.jpg": "train", "b.jpg": "val", "c.jpg": None}


def test_bad_rows_of_a_table(folder) -> None:
    root = folder("a.jpg", "b.jpg")
    text = [
        b"image,caption,split",
        b"a.jpg,A cat,train",
        b"a.jpg,A cat,train",  # 3: again
        b"a.jpg,A cat, running,train",  # 4: a comma
        b"a.jpg",  # 5: cut
        b"",
        b"b.jpg,  ,val",  # 7: empty
        b"gone.jpg,x,val",  # 8: missing
        b"gone.jpg,y,val",
        b"b.jpg,caf\xe9,val",  # 10: not UTF-8
        b'a.jpg,"never closed,train',  # 11
        b"b.jpg,A dog,val",
        b'b.jpg,"over',
        b'two ""lines""",val',
        b"b.jpg,A bird,train",  # 15: another split
        b",x,train",  # 16: no name
    ]
    (root / "data.csv").write_bytes(b"\n".join(text))
    source = read_captions(root)
    assert rows(source) == {"a.jpg": ("A cat",), "b.jpg": ("A dog", 'over two "lines"', "A bird")}
    assert splits(source) == {"a.jpg": "train", "b.jpg": "val"}
    assert sorted(line for _, line, _ in complaints(source)) == [3, 4, 5, 7, 8, 10, 11, 15, 16]
    assert all(problem.fix and str(problem.file) in str(problem) for problem in source.problems)


@pytest.mark.parametrize("name", ["data.json", "captions.txt", "data.csv", "metadata.jsonl"])
def test_a_file_that_cannot_be_opened_is_reported_once(folder, monkeypatch, name: str) -> None:
    root, allowed = folder("a.jpg"), io.open
    (root / name).write_text("{}")

    def refuse(file: object, *arguments: object, **options: object) -> object:
        if str(file).endswith(name):  # a mode of 000 does not stop who is root
            raise PermissionError(13, "Permission denied", str(file))
        return allowed(file, *arguments, **options)

    monkeypatch.setattr(io, "open", refuse)
    source = read_captions(root)
    assert rows(source) == {"a.jpg": ()}
    assert complaints(source) == [(name, None, "cannot be read: Permission denied")]
    assert source.problems[0].unread


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_long_cell_is_read(folder, quote: str) -> None:
    long, usual = "word " * 60_000 + "end", csv.field_size_limit()
    root = folder("a.jpg", "b.jpg")
    (root / "table.csv").write_text(f"image,caption,note\na.jpg,{quote}{long}{quote},x\nb.jpg,A dog.,x\n")
    source = read_captions(root)
    assert rows(source) == {"a.jpg": (long,), "b.jpg": ("A dog.",)}
    assert source.problems == []
    assert csv.field_size_limit() == usual


def test_a_long_header_is_read(folder) -> None:
    root = folder("a.jpg")
    (root / "table.csv").write_text(f"image,caption,{'x' * 200_000}\na.jpg,A cat.,x\n")
    assert rows(read_captions(root)) == {"a.jpg": ("A cat.",)}


def test_an_open_quote_does_not_swallow_the_rest(folder) -> None:
    root = folder("a.jpg")
    lines = ["image,caption", 'a.jpg,"one', *(f"a.jpg,number {n}" for n in range(200)), 'a.jpg,"last']
    (root / "data.csv").write_text("\n".join(lines))
    source = read_captions(root)
    assert len(source.entries[0].captions) == 200
    assert [line for _, line, _ in complaints(source)] == [2, 203]


@pytest.mark.parametrize(
    ("name", "text", "hint"),
    [
        (
            "dataset.json",
            '{"images": [\n{"filename": "a.jpg", "sentences": [}',
            r"dataset\.json:2: .*column 37",
        ),
        (
            "captions_val.json",
            '{"images": [\n{"file_name": "a.jpg"',
            r"captions_val\.json:2: is not valid JSON",
        ),
        (
            "data.csv",
            "who,what\na.jpg,A cat\n",
            r"no column of 'who', 'what' holds the image; rename the one that does to 'file_name'",
        ),
        ("data.csv", "image,caption\nnowhere.jpg,A cat\n", r"data\.csv:2: image 'nowhere\.jpg' is missing"),
        ("data.csv", "", "table: a .csv"),
        ("notes.pdf", "%PDF", "karpathy: a .json"),
    ],
)
def test_nothing_usable(tmp_path, name: str, text: str, hint: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=hint) as caught:
        read_captions(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_nothing_at_all(tmp_path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read_captions(tmp_path / "猫")
    with pytest.raises(UserError, match="Looked for") as caught:
        read_captions(tmp_path)
    assert all(name in str(caught.value) for name in known_formats())


def test_broken_captions_beside_images_are_reported(folder) -> None:
    root = folder("a.jpg")
    (root / "dataset.json").write_text('{"images": [{"sentences": [')
    source = read_captions(root)
    assert source.format == "folder"
    assert "not valid JSON" in source.problems[0].what


def test_the_format_can_be_named(folder) -> None:
    root = folder("a.jpg", "b.jpg")
    (root / "captions.txt").write_text("image,caption\na.jpg,A cat\n")
    assert rows(read_captions(root)) == {"a.jpg": ("A cat",)}
    assert rows(read_captions(root, "folder")) == {"a.jpg": (), "b.jpg": ()}
    with pytest.raises(UserError, match="coco: captions_"):
        read_captions(root, "coco")
    with pytest.raises(UsageError, match=r"'cocoa', only karpathy, coco"):
        read_captions(root, "cocoa")


def test_names_as_other_systems_write_them(folder) -> None:
    root = folder("照片/猫 100%.jpg", "照片/e\u0301.jpg", "照片/100%25.jpg")
    lines = ["image,caption", "照片\\猫 100%.jpg,one", "照片/%E7%8C%AB%20100%25.jpg,two", "照片/é.jpg,three"]
    (root / "data.csv").write_text("\n".join([*lines, "照片/100%25.jpg,four"]))
    source = read_captions(root)
    assert rows(source) == {"猫 100%.jpg": ("one", "two"), "e\u0301.jpg": ("three",), "100%25.jpg": ("four",)}
    assert source.problems == []


def test_a_missing_image_is_not_taken_from_a_neighbour(folder) -> None:
    root = folder("mine/a.jpg", "other/b.jpg")
    (root / "mine" / "captions.txt").write_text("image,caption\na.jpg,A cat\nb.jpg,A dog\n")
    assert rows(read_captions(root / "mine")) == {"a.jpg": ("A cat",)}


def test_relative_paths(folder, monkeypatch) -> None:
    root = folder("images/a.jpg")
    (root / "data.csv").write_text("image,caption\na.jpg,A cat\n")
    monkeypatch.chdir(root)
    assert read_captions("data.csv") == read_captions(root / "data.csv")
    assert read_captions(".").entries[0].path == root / "images" / "a.jpg"


def test_split_names() -> None:
    assert [split_name(name) for name in ("TRAIN", "dev", " testing ", "x")] == ["train", "val", "test", None]


def test_real_flickr8k(shared_data) -> None:
    source = read_captions(shared_data / "flickr8k")
    assert source.format == "karpathy"
    assert source.problems == []
    assert sum(entry.split == "train" for entry in source.entries) == 6000
    assert sum(entry.split == "val" for entry in source.entries) == 1000
    assert all(len(entry.captions) == 5 for entry in source.entries)


def test_real_photos(shared_data) -> None:
    source = read_captions(shared_data / "photos")
    assert (source.format, len(source.entries), source.problems) == ("flickr8k", 120, [])


def test_a_format_is_found_by_being_in_the_folder(folder, tmp_path, monkeypatch) -> None:
    """A new file, and no edited one: `.caps` files, which no other format knows, and a folder of them."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "caps.py").write_text(
        "from showtell.data.captions.entry import Entry, Source\n"
        "SPECIFICITY = 15\n"
        "LOOKED_FOR = 'name.caps'\n"
        "def files(path):\n"
        "    return sorted(path.glob('*.caps'))\n"
        "def read(root, files):\n"
        "    return Source('caps', [Entry(f.with_suffix('.jpg'), (f.read_text(),)) for f in files])\n"
    )
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(code)])
    known_formats.cache_clear()
    try:
        assert [*known_formats()][-2:] == ["caps", "folder"]
        root = folder("data/a.jpg") / "data"
        (root / "a.caps").write_text("A cat")
        source = read_captions(root)
        assert (source.format, rows(source)) == ("caps", {"a.jpg": ("A cat",)})
        (root / "captions.txt").write_text("image,caption\na.jpg,A dog\n")
        assert read_captions(root).format == "flickr8k"
    finally:
        known_formats.cache_clear()
