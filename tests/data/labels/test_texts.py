"""The split of a labelled text is that of its row or its file; two that differ are refused."""

import pytest

from showtell.data.labels.texts import read_labelled
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
