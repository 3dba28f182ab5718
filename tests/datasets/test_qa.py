from pathlib import Path

import pytest

from showtell.datasets.qa import read_qa
from showtell.errors import UserError


def conll(*sentences: str) -> str:
    return "\n\n".join("\n".join(f"{word}\t{word[0]}" for word in one.split()) for one in sentences) + "\n"


def test_named_splits_are_used_and_what_training_reads_is_left_out(tmp_path: Path, caplog) -> None:
    (tmp_path / "train.conll").write_text(conll("a dog", "a cat"))
    (tmp_path / "dev.conll").write_text(conll("a cat", "an eel"))
    (tmp_path / "test.conll").write_text(conll("no one"))
    found = read_qa(tmp_path)
    assert [" ".join(one.tokens) for one in found.validation] == ["an eel"]
    assert found.labels == ("a", "c", "d", "e")
    assert "1 example of the split val left out" in caplog.text
    assert "no training example has the label e" in caplog.text
    assert found.num_training == 2


def test_without_named_splits_equal_texts_stay_together(tmp_path: Path) -> None:
    (tmp_path / "all.conll").write_text(conll(*(f"a dog {n % 50}" for n in range(100))))
    found = read_qa(tmp_path)
    assert 2 <= len(found.validation) <= 30
    assert not {one.key for one in found.training} & {one.key for one in found.validation}
    assert read_qa(tmp_path).hash == found.hash


def test_problems_are_counted_and_nothing_left_is_refused(tmp_path: Path, caplog) -> None:
    (tmp_path / "all.conll").write_text(conll("a dog") + "\nbroken\n")
    with pytest.raises(UserError, match="to train on and 1 to validate on"):
        read_qa(tmp_path)
    assert "1 problem, each skipped" in caplog.text
