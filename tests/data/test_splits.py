"""The names of splits, alone and beside others."""

import pytest

from showtell.data.splits import folder_splits, sibling_splits, split_in, split_name


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *((name, "train") for name in ("train", "TRAIN", "training", "restval")),
        *((name, "val") for name in ("val", "Valid", "validation", "dev")),
        *((name, "test") for name in ("test", " testing ")),
        *((name, None) for name in ("", "x", "holiday", "testing grounds")),
    ],
)
def test_a_column_holds_the_name_alone(name, split) -> None:
    assert split_name(name) == split


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("train2014", ("train", "")),
        ("test1", ("test", "")),
        ("TrainImages", ("train", "")),
        ("trainset", ("train", "")),
        ("test_set", ("test", "")),
        ("captions-val-00001-of-00008", ("val", "of")),
        ("flickr30k_validation", ("val", "flickr k")),
        ("seg_test", ("test", "seg")),
        ("bullet_train", ("train", "bullet")),
        ("训练_train", ("train", "训练")),
        *((name, None) for name in ("trainstation", "contest", "valley", "device", "train_test", "trainval")),
    ],
)
def test_the_words_of_a_name_hold_one_split(name, said) -> None:
    assert split_in(name) == said


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["train", "test"], {"train": "train", "test": "test"}),
        (["seg_train", "seg_test", "seg_pred"], {"seg_train": "train", "seg_test": "test"}),
        (["train2014", "val2014", "annotations"], {"train2014": "train", "val2014": "val"}),
        (["bullet_train", "bus", "test_tube"], {}),
        (["bullet_train", "steam_train", "driving_test"], {}),
        (["cat_train", "cat_test", "dog_train"], {"cat_train": "train", "cat_test": "test"}),
    ],
)
def test_a_folder_is_judged_beside_its_siblings(names, splits) -> None:
    assert {name: split for name, (split, _) in sibling_splits(names).items()} == splits


def test_folders_at_any_depth_are_splits() -> None:
    found = folder_splits([("a", "train"), ("a", "test"), ("b", "val", "x"), (), ("c", "test_tube")])
    assert list(found.values()) == [{"train": "train"}, {"test": "test"}, {"val": "val"}, {}, {}]
