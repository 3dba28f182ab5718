"""No verb cuts a text without a word."""

import json
from pathlib import Path

import pytest

from showtell.pipelines.classify import ZeroShot
from showtell.pipelines.index import index
from showtell.pipelines.model import load_model
from support.dual import COLOURS
from support.library import draw

LONG = "the image of it, the image of it, the image of it, and at its end a"
"""More than the twelve tokens that the dual encoder reads, whatever comes after it."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name, colour in COLOURS.items():
        draw(folder / f"{name}.png", colour)
    rows = [
        {"file_name": f"{name}.png", "captions": [f"a {name} square", f"{LONG} {name} square"]}
        for name in COLOURS
    ]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.fixture(scope="module")
def library(photos, clip, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("library") / "library"
    index(photos, folder, load_model(clip))
    return folder


def test_labels_that_differ_after_the_cut_are_refused(ask, photos, clip) -> None:
    labels = f"{LONG} red square;{LONG} blue square".replace(",", " ").replace(";", ",")
    status, rows, err = ask("classify", photos, "--model", clip, "--labels", labels)
    assert (status, rows) == (2, [])
    assert "cannot be told apart: they differ after the 12 tokens that colour_clip@" in err


def test_labels_that_the_model_reads_alike_are_refused(clip, checkpoint) -> None:
    from showtell.errors import UsageError

    with pytest.raises(
        UsageError, match="'a dog' and 'a dog!' cannot be told apart: they are the same tokens"
    ):
        ZeroShot(load_model(checkpoint), ["a dog", "a dog!"])


def test_a_label_that_is_cut_is_said_or_refused(ask, photos, clip) -> None:
    labels = f"a red square,{LONG.replace(',', '')} blue square"
    status, rows, err = ask("classify", photos, "--model", clip, "--labels", labels)
    assert (status, len(rows)) == (0, 4)
    assert err.count("1 label cut to the 12 tokens that colour_clip@") == 1
    assert "(1 of 2); the first" in err
    status, rows, err = ask("classify", photos, "--model", clip, "--labels", labels, "--strict")
    assert (status, rows) == (1, [])
    assert "the label that begins with 'the image of it" in err


def test_queries_that_are_cut_are_counted_once_and_equal_ones_refused(ask, library, clip) -> None:
    queries = f"a red square\n{LONG} red\n{LONG} red\n{LONG} blue\nanother {LONG} blue\n"
    rest = ("--library", library, "--model", clip, "--top", 1)
    status, rows, err = ask("search", "-", *rest, stdin=queries)
    assert (status, len(rows)) == (1, 4)
    assert "query 'the image of it, the ima…t its end a blue' cannot be told from" in err
    assert err.count("queries cut to the 12 tokens") == 1
    assert "(4 of 5)" in err
    status, rows, err = ask("search", "-", *rest, "--strict", stdin=queries)
    assert (status, [row["query"] for row in rows]) == (1, ["a red square"])
    status, rows, err = ask("search", f"{LONG} red", *rest)
    assert (status, len(rows)) == (0, 1)
    assert "1 query cut to the 12 tokens" in err
    assert ask("search", f"{LONG} red", *rest, "--strict")[0] == 1


def test_embedded_texts_are_counted_in_the_summary(ask, clip, tmp_path) -> None:
    arguments = ("embed", "--texts", "a red square", LONG, f"{LONG} red", "--model", clip)
    status, (saved,), err = ask(*arguments, "--output", tmp_path / "vectors.npy")
    assert (status, saved["count"], saved["cut"]) == (0, 3, 2)
    assert "2 texts cut to the 12 tokens that colour_clip@" in err
    status, _, err = ask(*arguments, "--output", tmp_path / "strict.npy", "--strict")
    assert (status, (tmp_path / "strict.npy").exists()) == (1, False)
    assert "the text that begins with 'the image of it" in err


def test_the_vectors_of_texts_in_python_are_cut_aloud(clip, caplog) -> None:
    load_model(clip).encode_texts(["a red square", LONG])
    assert "1 text cut to the 12 tokens" in caplog.text


def test_captions_of_an_evaluation_are_counted_once(ask, photos, clip) -> None:
    arguments = ("evaluate", "--data", photos, "--model", clip, "--split", "train")
    status, (figures,), err = ask(*arguments)
    assert status == 0
    assert 0 < figures["cut"] == figures["retrieval"]["text_to_image"]["texts"] // 2
    assert err.count("cut to the 12 tokens") == 1
    status, rows, err = ask(*arguments, "--strict")
    assert (status, rows) == (1, [])
    assert "the caption that begins with" in err


def test_captions_of_training_are_counted_per_split(ask, photos, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    steps = ("train.steps=1", "train.batch_size=2", "vocabulary.max_length=8", "system.width=16")
    settings = [word for setting in (*steps, "train.warmup_steps=0") for word in ("--set", setting)]
    arguments = ("train", "vse", "--data", photos, "--device", "cpu", *settings)
    status, rows, err = ask(*arguments, "--output", tmp_path / "strict", "--strict")
    assert (status, rows, (tmp_path / "strict").exists()) == (1, [], False)
    assert "the caption that begins with 'the image of it" in err
    status, (reached,), err = ask(*arguments, "--output", tmp_path / "run")
    assert (status, reached["cut"]) == (0, 4)
    assert err.count("4 captions cut to the 8 tokens that vocabulary.max_length keeps") == 1
    assert " of train, " in err
    assert " of val); the first" in err
