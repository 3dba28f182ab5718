"""One rule of division for captions, labelled images and texts, and the splits that it makes of each."""

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from showtell.data.captions.entry import Entry
from showtell.datasets.captions import divide, split_of
from showtell.datasets.division import held_out, position
from showtell.datasets.labelled_images import find_labelled
from showtell.datasets.texts import divide_texts
from showtell.errors import UserError

KEYS = st.lists(st.binary(max_size=3), min_size=1)


@given(KEYS, st.floats(0, 1), st.none() | st.integers(1, 5))
def test_equal_keys_stay_together_and_one_is_held_out(keys, share, most) -> None:
    held = held_out(keys, share, most=most)
    assert any(held)
    assert len(held) == len(keys)
    assert not {k for k, out in zip(keys, held, strict=True) if out} & {
        k for k, out in zip(keys, held, strict=True) if not out
    }
    distinct = list(dict.fromkeys(keys))
    if most is not None:
        assert sum(held_out(distinct, share, most=most)) <= most


def test_others_do_not_move_an_item() -> None:
    keys = [b"item %d" % n for n in range(5000)]
    half = held_out(keys[:2500], 0.1)
    assert held_out(keys, 0.1)[:2500] == half
    assert 400 <= sum(held_out(keys, 0.1)) <= 600


def test_positions_are_even() -> None:
    positions = [position(b"%d" % n) for n in range(2000)]
    assert all(0 <= p < 1 for p in positions)
    for tenth in range(10):
        assert 150 <= sum(tenth <= 10 * p < tenth + 1 for p in positions) <= 250


def test_captions_are_divided_by_the_first_byte_of_the_hash_of_their_name() -> None:
    entries = [Entry(Path("folder") / f"{n} 图.jpg", ("x",), None) for n in range(2000)]
    for entry in entries:
        digest = hashlib.sha256(entry.path.name.encode()).digest()
        assert split_of(entry) == ("val" if digest[0] < 26 else "train")
    named = [Entry(e.path, e.captions, "train") for e in entries]
    assert {name: [e.path for e in split] for name, split in divide(named).items()} == {
        name: [e.path for e in split] for name, split in divide(entries).items()
    }


def test_few_captioned_images_are_divided_too() -> None:
    for count in (2, 3, 5):
        splits = divide([Entry(Path(f"{n}.jpg"), ("x",), None) for n in range(count)])
        assert len(splits["train"]) + len(splits["val"]) == count
        assert splits["train"]
        assert splits["val"]


def test_labelled_images_are_divided_by_the_order_of_their_hashes(tmp_path) -> None:
    for split, count in (("train", 37), ("test", 5)):
        for label in ("a", "b"):
            (tmp_path / split / label).mkdir(parents=True)
            for n in range(count):
                (tmp_path / split / label / f"{n}.png").write_bytes(b"")
    found = find_labelled(tmp_path)
    items = [item for item in found.classes.items if not item.held_out]
    items.sort(key=lambda item: hashlib.sha256(os.fsencode(item.name)).digest())
    assert (found.validation, found.training) == (items[:7], items[7:])
    assert len(found.test) == 10


@given(st.lists(st.text(max_size=3), min_size=2), st.sampled_from([0.0, 0.01, 0.5]))
def test_no_document_is_on_both_sides(texts, share) -> None:
    if len(set(texts)) < 2:
        with pytest.raises(UserError, match="fewer than two different"):
            divide_texts(texts, share)
        return
    try:
        found = divide_texts(texts, share)
    except UserError:
        assert share == 0.5  # all may fall on one side
        return
    assert sorted([*found.training, *found.validation]) == sorted(texts)
    assert not {*found.training} & {*found.validation}
    assert found.training
    assert found.validation


def test_about_the_share_of_the_documents_is_held_out_and_others_do_not_move_one() -> None:
    texts = [f"document {i}" for i in range(10_000)]
    validation = divide_texts(texts).validation
    assert 60 <= len(validation) <= 140  # 100 +- 4 standard deviations
    fewer = divide_texts([f"document {i}" for i in range(5000)]).validation
    assert fewer == [text for text in validation if text in {*texts[:5000]}]


def test_documents_are_divided_by_the_hash_of_their_content() -> None:
    texts = [f"document {i}" for i in range(500)]
    digests = [hashlib.sha256(text.encode()).digest() for text in texts]
    places = [int.from_bytes(digest[:8]) / 2**64 for digest in digests]
    limit = max(0.02, min(places))
    found = divide_texts(texts, 0.02)
    assert found.validation == [t for t, place in zip(texts, places, strict=True) if place <= limit]
