"""Caption files that lie beside images and are not read are named with the reason."""

import json

import pytest

from showtell.data.captions.read import read_captions

TABLE = "image,caption\na.jpg,A cat\n"


def said(source) -> dict[str, str]:
    return {problem.file.name: problem.what for problem in source.unused}


def test_a_file_in_another_format(folder) -> None:
    root = folder("a.jpg")
    (root / "captions.txt").write_text(TABLE)
    (root / "more.csv").write_text(TABLE)
    (root / "a.caption").write_text("A black cat")
    (root / "metadata.jsonl").write_text('{"file_name": "a.jpg", "text": "one"}\n')
    (root / "empty.jsonl").write_text("")
    source = read_captions(root)
    assert source.format == "flickr8k"
    assert said(source) == {
        "a.caption": "stands beside its image, but the format flickr8k was read",
        "empty.jsonl": "holds no captions",
        "metadata.jsonl": "holds 1 caption in the format imagefolder, but flickr8k was read",
        "more.csv": "holds 1 caption in the format table, but flickr8k was read",
    }
    assert source.problems == []
    assert "--format imagefolder" in str(source.unused[2])


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("data.csv", b"who,what\na.jpg-file,A cat\n", "no column of 'who', 'what' holds the image"),
        ("labels.csv", b"image,class\na.jpg,3\n", "holds the caption"),
        ("captions.xlsx", b"PK\3\4", "is a spreadsheet, which is not read"),
        ("list.xlsx", b"PK\3\4", "is a spreadsheet, which is not read"),
        ("captions.json.gz", b"\x1f\x8b", "is compressed or packed"),
        ("annotations.xml", b"<a/>", "is not a table"),
        ("captions.txt", b"A cat on a mat.\n", "is in no known format of captions"),
        ("config.json", b'{"size": 3}', "is in no known format of captions"),
        ("captions.csv", b"image,caption\nb.jpg,A dog\n", "image 'b.jpg' is missing"),
        ("texts/a.txt", b"A cat", "is in no known format of captions"),
        ("train/captions.json", b'{"size": 3}', "is in no known format of captions"),
    ],
)
def test_a_file_that_gives_nothing(folder, name: str, data: bytes, what: str) -> None:
    root = folder("a.jpg", "b/b.png")
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_bytes(data)
    source = read_captions(root)
    found = {p.file.relative_to(root).as_posix(): p.what for p in [*source.unused, *source.problems]}
    assert what in found[name]


@pytest.mark.parametrize("beside", [None, "captions.txt"])
@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("data.json", b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        ("deep.jsonl", b'{"image": ' * 100_000, "nested too deeply"),
        ("captions_val.json", b'{"images": [{"file_name": "a.jpg"', "not valid JSON"),
        ("rows.json", b'[{"image": "a.jpg", "caption": "A c', "not valid JSON"),
        ("rows.jsonl", b'{"image": "a.jpg", "caption": "A c', "not valid JSON"),
        ("rows.parquet", b"PAR1\0\0\0\0", "not a readable Parquet file"),
        ("train/metadata.parquet", b"PAR1\0\0\0\0", "not a readable Parquet file"),
        ("train/captions.json", b"{", "not valid JSON"),
        ("broken.csv", b"image,caption\na.jpg,caf\xe9\n", "is not UTF-8"),
        ("broken.json", b'[{"image": "a.jpg", "caption": "caf\xe9"}]', "is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_parsed_is_a_problem(folder, name, data, what, beside) -> None:
    root = folder("a.jpg", "train/b.jpg")
    if beside:
        (root / beside).write_text(TABLE)
    (root / name).write_bytes(data)
    source = read_captions(root)
    found = [problem for problem in source.problems if problem.file == root / name]
    assert what in " ".join(problem.what for problem in found)
    assert found[0].unread
    assert {entry.path.name for entry in source.entries} >= {"a.jpg"}


def test_an_object_without_a_caption_beside_its_image(folder) -> None:
    """As Google Takeout writes them."""
    root = folder("a.jpg", "b.jpg")
    for name in ("a.jpg", "b.jpg"):
        (root / f"{name}.json").write_text(json.dumps({"title": name, "description": "", "url": "x"}))
    source = read_captions(root)
    assert [entry.captions for entry in source.entries] == [(), ()]
    assert source.problems == []
    assert said(source)["a.jpg.json"] == 'holds no caption (its keys: "title", "description", "url", ...)'


def test_other_files_are_not_named(folder) -> None:
    root = folder("a.jpg")
    (root / "a.txt").write_text("A cat")
    for name in ("README.md", "licence.txt", "._captions.csv", "notes.pdf", "movie.zip", ".DS_Store"):
        (root / name).write_text("nothing")
    source = read_captions(root)
    assert (said(source), [p.file.name for p in source.problems]) == ({}, ["licence.txt"])
