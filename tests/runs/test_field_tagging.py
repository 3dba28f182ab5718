"""A tagger learns fields from documents, and reads those that were held out, under any schema."""

import json

import pytest

from showtell.data.documents.materials import KIND, OTHER
from showtell.datasets.printed_text import TextLine
from showtell.errors import UserError
from showtell.evaluation.evaluate import evaluate
from showtell.pipelines.document_readers import FieldReader, reader_of
from showtell.pipelines.extract import extract
from showtell.pipelines.model import load_model
from showtell.recipes.launch import train_model
from showtell.tasks.documents import DocumentError
from support.documents import box, receipt, receipts

pytest.importorskip("llguidance")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on 40 drawn receipts, of which 8 are held out, and what it reached."""
    folder = tmp_path_factory.mktemp("receipts")
    printed = {}
    receipts(folder / "data", 40, printed.__setitem__)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "showtell.datasets.printed_text.TextReader",
            lambda: lambda pixels: printed[folder / "data" / f"{pixels.shape[0] - 30}.png"],
        )
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        settings = ["train.steps=150", "system.vocab_size=2048", "train.batch_size=64"]
        reached = train_model("extract_fields", folder / "data", folder / "run", settings, device="cpu")
        assert len(list((folder / "cache" / "showtell" / "text").iterdir())) == 40
        evaluated = evaluate(load_model(reached["model"]), folder / "data")
    return {**reached, "evaluated": evaluated}


def test_held_out_receipts_are_read(trained) -> None:
    assert trained["test_kinds"] == 1
    assert trained["test_f1"] > 0.95
    found = trained["evaluated"]
    assert (found["documents"], found["valid"], found["truncated"], found["failed"]) == (8, 1, 0, 0)
    assert found["f1"] == trained["test_f1"] == found["by_kind"]["receipt"]["f1"]
    assert found["by_field"].keys() == {f"receipt/{name}" for name in ("company", "date", "address", "total")}


def test_a_reader_fits_its_materials_to_the_schema(trained) -> None:
    model = load_model(trained["model"])
    reader = reader_of(model)
    assert isinstance(reader, FieldReader)
    material, lines = receipt(77)
    number = {"type": "object", "properties": {"total": {"type": "number"}, "date": {"type": "string"}}}
    said = reader(lines, {"type": "array", "items": number}).document
    assert said == [{"total": float(material["total"]), "date": material["date"]}]
    assert reader(lines, number).document == said[0]
    with pytest.raises(DocumentError, match="does not keep the schema"):
        reader(lines, number | {"required": ["vat"]})


def test_text_of_no_known_material_is_said_to_be_another(trained, tmp_path) -> None:
    from showtell.data.documents.materials import DEFAULT_SCHEMA

    reader = FieldReader(load_model(trained["model"]))
    assert reader([], DEFAULT_SCHEMA).document == []
    other = [TextLine("the end", 0.9, box(0, 0, "the end"))]
    assert reader(other, DEFAULT_SCHEMA).document == [{KIND: OTHER}]
    (found,) = reader(receipt(3)[1], DEFAULT_SCHEMA).document
    assert found[KIND] == "receipt"


def test_data_that_is_wrong_is_named(tmp_path) -> None:
    with pytest.raises(UserError, match="holds no labelled documents"):
        train_model("extract_fields", tmp_path, tmp_path / "run")
    receipts(tmp_path / "data", 6, lambda path, lines: None)
    rows = (tmp_path / "data" / "materials.jsonl").read_text().splitlines()
    faults = {
        "no image .*gone.png": json.dumps({"image": "gone.png", "materials": []}),
        "jsonl:2: is not valid JSON": '{"image": ',
        "jsonl:2: is not .*materials": json.dumps({"image": "1.png"}),
        f"its kind under {KIND}": json.dumps({"image": "1.png", "materials": [{"total": "1"}]}),
    }
    for said, row in faults.items():
        (tmp_path / "data" / "materials.jsonl").write_text("\n".join([rows[0], row]))
        with pytest.raises(UserError, match=said):
            train_model("extract_fields", tmp_path / "data", tmp_path / "run")


def test_what_it_reads_is_found_by_the_verb(trained, tmp_path, ask, monkeypatch) -> None:
    from PIL import Image

    material, lines = receipt(5)
    Image.new("RGB", (30, 30)).save(tmp_path / "r.png")
    monkeypatch.setattr("showtell.pipelines.extract.TextReader", lambda: lambda pixels: lines)
    status, (found,), _ = ask("extract", tmp_path / "r.png", "--model", trained["model"])
    assert (status, found["truncated"]) == (0, False)
    assert found["documents"][0]["total"] == material["total"]
    assert next(iter(extract(tmp_path / "r.png", load_model(trained["model"])))).model == found["model"]
