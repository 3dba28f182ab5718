"""Labelled documents: several sets in one folder, and lines that the data says are printed."""

import json
from dataclasses import asdict

import pytest

from showtell.data.documents.labelled import holds_documents
from showtell.datasets.documents import pages_of, read_documents
from support.documents import receipt, receipts


def test_each_set_of_a_folder_keeps_its_own_division(tmp_path, monkeypatch) -> None:
    receipts(tmp_path / "a", 10, lambda *_: None)
    receipts(tmp_path / "b", 4, lambda *_: None)
    file = tmp_path / "b" / "materials.jsonl"
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    for number, row in enumerate(rows):
        row["split"] = "val" if number == 3 else "train"
        row["lines"] = [asdict(line) for line in receipt(number)[1]]
    file.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    assert holds_documents(tmp_path)
    assert not holds_documents(tmp_path / "c")
    alone, both = read_documents(tmp_path / "a"), read_documents(tmp_path)
    assert (alone.num_training, len(alone.validation)) == (8, 2)
    assert both.training[:8] == alone.training
    assert both.validation[:2] == alone.validation
    assert [one.path.name for one in both.validation[2:]] == ["3.png"]

    def refuse() -> None:
        raise AssertionError("an image was read")

    monkeypatch.setattr("showtell.datasets.printed_text.TextReader", refuse)
    pages = pages_of(both.training[8:])
    assert [page.texts for page in pages] == [[line.text for line in receipt(n)[1]] for n in range(3)]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(AssertionError, match="was read"):
        pages_of(both.validation)
