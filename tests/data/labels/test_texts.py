"""The split of a labelled text is that of its row or its file; two that differ are refused."""

import json

import pytest

from showtell.data.labels.texts import labelled_files, read_labelled
from showtell.errors import UserError


@pytest.mark.parametrize("column", ["split", "set"])
def test_a_column_of_a_single_file_holds_out(tmp_path, column, caplog) -> None:
    caplog.set_level("INFO")
    rows = [f"{split} {n}\t{n % 2}\t{split}" for split in ("train", "validation", "test") for n in range(9)]
    (tmp_path / "all.tsv").write_text("\n".join([f"text\tlabel\t{column}", *rows]))
    found = read_labelled(tmp_path / "all.tsv")
    assert {item.text.split()[0] for item in found.items if item.held_out} == {"test"}
    assert {item.text.split()[0] for item in found.items if not item.held_out} == {"train"}
    assert "9 texts of the split val not used" in caplog.text


def test_a_row_and_its_file_must_agree(tmp_path) -> None:
    (tmp_path / "train.tsv").write_text("text\tlabel\tsplit\na\t0\ttrain\nb\t1\ttest\n")
    with pytest.raises(UserError, match=r"train\.tsv: its name says train, a row test"):
        read_labelled(tmp_path)


@pytest.mark.parametrize(
    "names", [("imdb_train", "imdb_test"), ("sst2.train", "sst2.dev"), ("training_set", "validation_set")]
)
def test_the_name_of_a_file_may_say_more_than_its_split(tmp_path, names) -> None:
    for name, split in zip(names, ("train", "test"), strict=True):
        (tmp_path / f"{name}.jsonl").write_text(
            "".join(json.dumps({"text": f"{split} {n}", "label": n % 2}) + "\n" for n in range(9))
        )
    found = read_labelled(tmp_path)
    assert {item.text.split()[0] for item in found.items if item.held_out} == {"test"}
    assert len(found.items) == 18


def test_a_single_file_of_a_folder_may_have_any_name(tmp_path) -> None:
    file = tmp_path / "reviews.jsonl"
    file.write_text("".join(json.dumps({"text": f"text {n}", "label": n % 2}) + "\n" for n in range(40)))
    assert labelled_files(tmp_path) == {"": file}
    assert len(read_labelled(tmp_path).items) == 40


def test_captions_are_no_labelled_texts(tmp_path) -> None:
    for name in ("captions_train", "captions_val"):
        (tmp_path / f"{name}.jsonl").write_text('{"file_name": "a.jpg", "text": "a dog"}\n')
    assert labelled_files(tmp_path) == {}
    (tmp_path / "captions_val.jsonl").unlink()
    assert labelled_files(tmp_path) == {}
