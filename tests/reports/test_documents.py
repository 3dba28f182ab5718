"""The documents of the demonstration: drawn, read, and shown with the model's name, or left out and said."""

import json

import pytest
from PIL import Image

from showtell.data.documents.labelled import Material
from showtell.data.documents.licences.draw import Drawn
from showtell.data.documents.materials import KIND
from showtell.errors import MissingError
from showtell.pipelines.extract import Extracted
from showtell.reports import documents
from showtell.reports.documents import PAGES, drawn_documents
from showtell.reports.report import write_report


def test_what_is_read_is_shown_with_the_models_name(tmp_path, monkeypatch) -> None:
    material: Material = {KIND: "营业执照", "名称": "<甲>公司"}

    def page(place: int, turn: int, held_out: bool) -> tuple[Drawn, None]:
        assert held_out
        return Drawn(Image.new("RGB", (1500, 900), "white"), (material,), ()), None

    monkeypatch.setattr(documents, "sample_page", page)
    monkeypatch.setattr(
        documents,
        "extract",
        lambda paths: (Extracted(str(path), None, [material], False, 3, 0, "reader@1") for path in paths),
    )
    found = drawn_documents(tmp_path / "documents")
    assert [json.loads(one.documents) for one in found] == [[material]] * len(PAGES)
    assert len(list((tmp_path / "documents").glob("*.jpg"))) == len(PAGES)
    write_report(tmp_path / "report.html", title="t", model="m", documents=found)
    shown = (tmp_path / "report.html").read_text("utf-8")
    assert '<section id="documents"' in shown
    assert "understood by the model reader@1" in shown
    assert "&lt;甲&gt;公司" in shown


def test_without_a_font_nothing_is_shown_and_the_log_says_why(tmp_path, monkeypatch, caplog) -> None:
    caplog.set_level("INFO")

    def missing(*_: object, **__: object) -> None:
        raise MissingError("no font here draws Chinese; install one: apt install some")

    monkeypatch.setattr(documents, "sample_page", missing)
    assert drawn_documents(tmp_path) == []
    assert "no documents are shown: no font here draws Chinese" in caplog.text


@pytest.mark.slow
def test_drawn_licences_are_read(tmp_path) -> None:
    pytest.importorskip("llguidance")
    found = drawn_documents(tmp_path)
    if not found:
        pytest.skip("no Chinese font here, or no pp-ocrv4")
    kinds = [one[KIND] for each in found for one in json.loads(each.documents)]
    assert {"营业执照", "医疗器械经营许可证", "商标注册证"} <= {*kinds}
    assert all(each.model.startswith("extract_fields@") for each in found)
