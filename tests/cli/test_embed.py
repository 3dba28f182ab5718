"""`showtell embed`: vectors of images and texts, as files and as JSON Lines."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from showtell.errors import UsageError, UserError
from showtell.pipelines import shipped
from showtell.pipelines.embed import Embedding, embed
from showtell.pipelines.embedding_files import ROWS, save_embeddings
from showtell.pipelines.model import Model, load_model
from support.dual import COLOURS
from support.library import draw


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name, colour in COLOURS.items():
        draw(folder / f"{name}.png", colour)
    return folder


@pytest.fixture(scope="module")
def model(clip) -> Model:
    return load_model(clip, "cpu")


def test_images_go_to_an_array_with_a_line_per_row(ask, photos, clip, model, tmp_path) -> None:
    output = tmp_path / "new" / "vectors.npy"
    status, (saved,), err = ask("embed", photos, "--model", clip, "--output", output)
    rows = tmp_path / "new" / "vectors.rows.jsonl"
    assert (status, saved) == (
        0,
        {"output": str(output), "rows": str(rows), "count": 4, "width": 8, "cut": 0},
    )
    assert err.startswith("4 vectors of width 8 by colour_clip@")
    paths = [json.loads(line)["path"] for line in rows.read_text().splitlines()]
    assert paths == sorted(str(path) for path in photos.iterdir())
    vectors = np.load(output)
    assert (vectors.dtype, vectors.flags.c_contiguous) == (np.float32, True)
    np.testing.assert_array_equal(vectors, model.encode_images(paths))
    assert sorted(path.name for path in output.parent.iterdir()) == ["vectors.npy", "vectors.rows.jsonl"]


def test_texts_go_to_a_table(ask, clip, model, tmp_path) -> None:
    (tmp_path / "texts.txt").write_text("a red square\na blue square\n")
    (tmp_path / "more.jsonl").write_text('{"text": "the image\\nof it"}\n')
    output = tmp_path / "vectors.parquet"
    files = [tmp_path / "texts.txt", tmp_path / "more.jsonl"]
    status, (saved,), _ = ask("embed", *files, "--model", clip, "--output", output)
    assert (status, saved["rows"], saved["count"]) == (0, str(output), 3)
    table = pyarrow.parquet.read_table(output)
    assert table.column_names == ["text", "vector"]
    texts = ["a red square", "a blue square", "the image\nof it"]
    assert table["text"].to_pylist() == texts
    np.testing.assert_array_equal(np.stack(table["vector"].to_numpy()), model.encode_texts(texts))


def test_a_file_of_texts_is_not_overwritten(ask, clip, tmp_path) -> None:
    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"text": "a red square", "id": 7}\n')
    assert ask("embed", texts, "--model", clip, "--output", tmp_path / "texts.npy")[0] == 0
    assert texts.read_text() == '{"text": "a red square", "id": 7}\n'


def test_json_lines_come_one_by_one(ask, photos, clip, model) -> None:
    red, blue = photos / "red.png", photos / "blue.png"
    status, lines, err = ask("embed", "-", "--model", clip, stdin=f"{red}\n\n{blue}\n")
    assert (status, err) == (0, "")
    assert [line["path"] for line in lines] == [str(red), str(blue)]
    np.testing.assert_allclose([line["vector"] for line in lines], model.encode_images([red, blue]))
    status, (line,), err = ask("embed", "--texts", "a red square " * 20, "--model", clip)
    assert (status, line["text"][:5]) == (0, "a red")
    assert "1 text cut to the 12 tokens" in err


def test_a_file_that_cannot_be_read_does_not_stop_the_others(ask, photos, clip, tmp_path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    output = tmp_path / "vectors.npy"
    arguments = ["--model", clip, "--output", output]
    status, (saved,), err = ask("embed", tmp_path / "bad.png", photos / "red.png", *arguments)
    assert (status, saved["count"]) == (1, 1)
    assert "bad.png" in err
    output.unlink()
    output.with_suffix(".rows.jsonl").unlink()
    assert ask("embed", tmp_path / "bad.png", *arguments)[0] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["bad.png"], "no vector, no file"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["red.png", "--output", "vectors.csv"], 2, ".npy or .parquet"),
        (["red.png", "words.txt"], 2, "images and texts"),
        (["words.txt", "red.png", "--output", "v.npy"], 2, "images and texts"),
        (["none.txt", "--output", "v.npy"], 1, "none.txt cannot be read"),
    ],
)
def test_what_cannot_be_embedded_is_said(
    ask, clip, tmp_path, monkeypatch, arguments, status, message
) -> None:
    monkeypatch.chdir(tmp_path)
    draw(Path("red.png"), (250, 0, 0))
    Path("words.txt").write_text("a red square\n")
    found, _, err = ask("embed", *arguments, "--model", clip)
    assert (found, message in err) == (status, True), err
    assert sorted(path.name for path in Path().iterdir()) == ["red.png", "words.txt"]


def test_a_captioner_has_no_vectors_of_texts(ask, checkpoint) -> None:
    status, _, err = ask("embed", "--texts", "a dog", "--model", checkpoint)
    assert (status, "is not a text encoder" in err) == (2, True)


def test_texts_without_a_model_are_embedded_by_the_shipped_dual_encoder(
    ask, clip, monkeypatch, tmp_path
) -> None:
    monkeypatch.setattr(shipped, "dual_encoder", lambda device: load_model(clip, device))
    named = ask("embed", "--texts", "a red square", "--model", clip, "--json")
    assert named[0] == 0
    assert ask("embed", "--texts", "a red square", "--json") == named
    (tmp_path / "texts.txt").write_text("a red square\n")
    assert ask("embed", tmp_path / "texts.txt", "--json") == named


@pytest.mark.parametrize("ending", ["npy", "parquet"])
def test_a_file_that_is_interrupted_leaves_the_old_one(tmp_path, ending) -> None:
    output = tmp_path / f"v.{ending}"
    vectors = [Embedding({"path": f"{i} 猫\udce9"}, np.full(3, i, np.float32)) for i in range(2 * ROWS + 1)]
    assert save_embeddings(iter(vectors), output).count == 2 * ROWS + 1
    if ending == "npy":
        np.testing.assert_array_equal(np.load(output)[:, 0], np.arange(2 * ROWS + 1))
        assert (
            json.loads(output.with_suffix(".rows.jsonl").read_text().splitlines()[0])["path"] == "0 猫\udce9"
        )
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def interrupted():
        yield from vectors[: ROWS + 1]
        raise UserError("stopped")

    with pytest.raises(UserError, match="stopped"):
        save_embeddings(interrupted(), output)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_no_more_is_read_than_is_asked_for(photos, model) -> None:
    """A stream without end is embedded as it comes."""

    def endless():
        while True:
            yield photos / "red.png"

    assert next(embed(endless(), model)).vector.shape == (8,)


def test_a_folder_in_place_of_the_file_is_refused_before_anything_is_written(photos, model, tmp_path) -> None:
    (tmp_path / "v.npy").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        save_embeddings(embed(photos, model), tmp_path / "v.npy")
    assert [path.name for path in tmp_path.iterdir()] == ["v.npy"]


@pytest.mark.parametrize("fails", [1, 3])  # the first file to be synced is the vectors', the third the rows'
def test_rows_of_other_vectors_never_stand_beside_the_file(
    photos, model, tmp_path, monkeypatch, fails
) -> None:
    save_embeddings(embed(photos, model), tmp_path / "v.npy")
    calls = []

    def full(path: Path) -> None:
        calls.append(path)
        if len(calls) == fails:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("showtell.writing.sync", full)
    with pytest.raises(UserError, match="No space left"):
        save_embeddings(embed(sorted(photos.iterdir())[:2], model), tmp_path / "v.npy")
    rows = tmp_path / "v.rows.jsonl"
    count = len(np.load(tmp_path / "v.npy"))
    assert count == (4 if fails == 1 else 2)
    assert len(rows.read_text().splitlines()) == 4 if fails == 1 else not rows.exists()


def test_a_file_of_texts_that_cannot_be_read_does_not_stop_the_others(ask, clip, tmp_path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a red square\n\xff\xfe\n")
    (tmp_path / "b.txt").write_text("a blue square\n")
    files = [tmp_path / "a.txt", tmp_path / "none.jsonl", tmp_path / "b.txt", "--model", clip]
    status, lines, err = ask("embed", *files)
    assert (status, [line["text"] for line in lines]) == (1, ["a blue square"]), err
    assert "a.txt, line 2: is not UTF-8" in err
    assert "none.jsonl cannot be read" in err
    status, lines, err = ask("embed", *files, "--strict")
    assert (status, lines) == (1, [])
    assert "none.jsonl" not in err


def test_folders_and_files_that_are_not_what_a_person_thinks_are_said(ask, clip, tmp_path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "words.txt").write_text("a red square\n")
    status, _, err = ask("embed", tmp_path / "texts", "--model", clip)
    assert (status, "texts holds texts, no images: name its files" in err) == (2, True), err
    status, lines, err = ask("embed", "--texts", tmp_path / "texts", "--model", clip)
    assert (status, lines[0]["text"]) == (0, str(tmp_path / "texts"))
    assert "texts is embedded as a text" in err
    status, lines, err = ask("embed", "--texts", "", "a red square", "--model", clip)
    assert (status, [line["text"] for line in lines]) == (0, ["", "a red square"])
    assert err == "1 text without words: such a vector says nothing\n"
