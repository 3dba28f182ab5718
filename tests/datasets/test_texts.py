"""Texts whose files or folders are called train, val and test are divided so."""

import json

import pytest

from showtell.datasets.texts import read_texts, training_documents
from showtell.errors import UserError


@pytest.mark.parametrize(
    "names",
    [
        ("train.txt", "valid.txt", "test.txt"),
        ("wiki.train.txt", "wiki.valid.txt", "wiki.test.txt"),
        ("train/a.txt", "dev/a.txt", "test/a.txt"),
        ("my_train.txt", "my_val.txt", "my_test.txt"),
    ],
)
def test_the_names_of_files_and_folders_divide(tmp_path, names, caplog) -> None:
    caplog.set_level("INFO")
    for name, split in zip(names, "abc", strict=True):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(
            "".join(f"{split} document {n}\n" for n in range(20)) + "both\n" * (split != "c")
        )
    found = read_texts(tmp_path)
    assert {text[0] for text in found.training} == {"a", "b"}
    assert [text for text in found.training if text[0] == "b"] == ["both"]
    assert len(found.validation) == 20
    assert {text[0] for text in found.validation} == {"b"}
    assert "1 file of the split test not read" in caplog.text
    assert "1 document of the split val left out" in caplog.text


@pytest.mark.parametrize(
    "names", [("one.txt", "two.txt"), ("wikitext103_valid.txt", "brown.txt"), ("test.txt",)]
)
def test_other_names_do_not(tmp_path, names) -> None:
    for name in names:
        (tmp_path / name).write_text("".join(f"{name} {n}\n" for n in range(20)))
    found = read_texts(tmp_path)
    assert len(found.training) + len(found.validation) == 20 * len(names)


def test_a_file_in_two_splits_is_refused(tmp_path) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "train.txt").write_text("a\nb\n")
    (tmp_path / "x.txt").write_text("c\n")
    with pytest.raises(UserError, match=r"train\.txt is in two splits, test and train"):
        read_texts(tmp_path)


def test_records_that_name_a_split_are_in_it(tmp_path, caplog) -> None:
    caplog.set_level("INFO")
    file = tmp_path / "all.jsonl"
    rows = [{"text": f"{split} {n}", "Split": split} for split in ("train", "dev", "test") for n in range(20)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read_texts(file)
    assert {text.split()[0] for text in found.training} == {"train"}
    assert {text.split()[0] for text in found.validation} == {"dev"}
    assert (len(found.training), len(found.validation)) == (20, 20)
    assert "20 documents of the split test not read" in caplog.text
    assert {text.split()[0] for text in training_documents(file)} == {"train"}
    named = tmp_path / "named"
    named.mkdir()
    (named / "test.txt").write_text("a\n")
    (named / "train.jsonl").write_text(file.read_text())
    with pytest.raises(UserError, match=r"train\.jsonl: its name says train, a record val"):
        read_texts(named)


def test_a_vocabulary_reads_the_split_train_alone(tmp_path, caplog) -> None:
    caplog.set_level("INFO")
    for name in ("train", "valid", "test"):
        (tmp_path / f"{name}.txt").write_text(f"{name} text\n")
    assert list(training_documents(tmp_path)) == ["train text"]
    assert "1 file of the split test not read" in caplog.text
    assert "1 file of the split val not read" in caplog.text
    assert list(training_documents(tmp_path / "test.txt")) == ["test text"]


def test_documents_are_read_anew_and_a_change_is_said(tmp_path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("".join(f"document {n}\n" for n in range(100)))
    found = read_texts(file)
    assert sorted([*found.training, *found.validation]) == sorted(file.read_text().splitlines())
    assert [*found.training] == [*found.training]
    file.write_text("document 0\n")
    with pytest.raises(UserError, match=r"texts\.txt: changed while being read"):
        list(found.training)
