"""Captioned images become splits: what is in each, which tokens are known, and what is missing."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from showtell.data.captions.entry import Entry
from showtell.data.tokenizers.words import WordTokenizer
from showtell.datasets.caches import pixel_cache
from showtell.datasets.captions import split_of
from showtell.datasets.encoded_captions import load_splits
from showtell.datasets.vocabulary import WordVocabulary
from showtell.errors import UserError


def test_images_without_a_split_are_divided_by_name():
    entries = [Entry(Path(f"{n}.jpg"), ("x",), None) for n in range(1000)]
    share = sum(split_of(e) == "val" for e in entries) / 1000
    assert 0.07 < share < 0.14
    moved = replace(entries[3], path=Path("elsewhere") / "3.jpg")
    assert split_of(moved) == split_of(entries[3])


def _loaded(folder, captions, splits):
    """`load_splits` of images without content, their features all zero."""
    cache = SimpleNamespace(
        add=lambda paths, tell: SimpleNamespace(rows=np.arange(len(paths)), skipped={}),
    )
    entries = [Entry(folder / f"{n}.jpg", (captions(n),), split) for n, split in enumerate(splits)]
    return load_splits(entries, WordVocabulary(), cache)


def test_data_without_val_holds_out_some_of_train(tmp_path, caplog):
    caplog.set_level("INFO")
    tokenizer, splits = _loaded(tmp_path, lambda n: f"word{n}", ["train"] * 100 + ["test"] * 5)
    names = {name: [path.name for path in split.paths] for name, split in splits.items()}
    unnamed = [Entry(Path(f"{n}.jpg"), ("x",), None) for n in range(100)]
    for name in ("train", "val"):
        assert names[name] == [e.path.name for e in unnamed if split_of(e) == name]
    known = {f"word{Path(name).stem}" for name in names["train"]}
    assert set(tokenizer.words[4:]) == known  # no word of a validation or test image
    assert f"{len(names['val'])} images of 'train' are held out" in caplog.text


def test_data_that_names_both_splits_is_left_as_it_is(tmp_path, caplog):
    caplog.set_level("INFO")
    given = [("train", "val", "test", "train")[n % 4] for n in range(100)]
    _, splits = _loaded(tmp_path, lambda n: f"word{n}", given)
    for name, split in splits.items():
        assert [path.stem for path in split.paths] == [str(n) for n in range(100) if given[n] == name]
    assert "held out" not in caplog.text


def test_the_vocabulary_is_cut_by_count():
    tokenizer = WordTokenizer.train(["a a b", "b c"], min_count=2)
    assert tokenizer.words[4:] == ["a", "b"]
    assert tokenizer.decode(tokenizer.encode("A c, b!")) == "a b"


def test_images_without_captions_bring_an_error_that_helps():
    with pytest.raises(UserError, match=r"no image has a caption, of 1: add .*a\.txt.*simsiam"):
        load_splits([Entry(path=Path("a.jpg"), captions=())], WordVocabulary(), pixel_cache(8))


def test_what_cannot_be_read_is_skipped_and_said_once(tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    entries = []
    for split in ("train", "val"):
        for number in range(3):
            path = tmp_path / f"{split}{number}.png"
            if number:
                Image.new("RGB", (9, 9), (80 * number, 0, 0)).save(path)
            else:
                path.write_bytes(b"no image")
            entries.append(Entry(path, ("a square",), split))
    _, splits = load_splits(entries, WordVocabulary(), pixel_cache(8))
    assert {name: len(split) for name, split in splits.items()} == {"train": 2, "val": 2}
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"2 images skipped, the first: {tmp_path / 'train0.png'}: ")
