"""Documents of images: valid against their schema, or said to be truncated, or refused by name."""

import json

import numpy as np
import pytest
from PIL import Image

from showtell.cli.main import run
from showtell.datasets.printed_text import TextLine
from showtell.errors import UserError
from showtell.pipelines.document_readers import Found, LanguageReader
from showtell.pipelines.extract import Extracted, extract
from showtell.pipelines.import_model import import_model
from showtell.pipelines.model import load_model
from showtell.tasks.documents import DocumentError
from support.chat import TEMPLATE, llama_folder

pytest.importorskip("llguidance")
jsonschema = pytest.importorskip("jsonschema")

SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"kind": {"enum": ["receipt", "执照"]}, "total": {"enum": [9, 12]}},
        "required": ["kind", "total"],
        "additionalProperties": False,
    },
}
LINES = [
    TextLine("TOTAL 9.00", 0.99, [[0, 0], [90, 0], [90, 10], [0, 10]]),
    TextLine("###", 0.2, [[0, 30], [40, 30], [40, 40], [0, 40]]),
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reads")
    theirs = llama_folder(folder / "theirs", "chatml", TEMPLATE, max_length=1200)
    return import_model(str(theirs), folder / "ours")["model"]


@pytest.fixture(scope="module")
def model(checkpoint):
    return load_model(checkpoint, "cpu")


@pytest.fixture(autouse=True)
def lines(monkeypatch):
    """What is printed in every image; finding it is tested elsewhere."""
    monkeypatch.setattr("showtell.pipelines.extract.TextReader", lambda: lambda pixels: LINES)


@pytest.fixture
def image(tmp_path):
    Image.new("RGB", (100, 60), "white").save(tmp_path / "收据.png")
    return tmp_path / "收据.png"


def test_answers_are_valid_or_whole_items_of_one_that_was_cut(model, image) -> None:
    seen = set()
    for most in range(12, 120, 9):
        skipped = []
        found = list(extract(image, LanguageReader(model, most), schema=SCHEMA, skip=skipped.append))
        assert len(found) + len(skipped) == 1
        for one in found:
            jsonschema.validate(one.documents, SCHEMA)
            assert (one.path, one.page, one.lines, one.unsure) == (str(image), None, 1, 1)
            assert one.documents or not one.truncated
        for error in skipped:
            assert "收据.png: the answer was truncated before one whole item" in str(error)
        seen |= {one.truncated for one in found} | {"error" for _ in skipped}
    assert seen >= {True, "error"}


class Says:
    """A reader that answers what it is given."""

    name = "says"
    reads_images = False
    schema = SCHEMA

    def __init__(self, *documents) -> None:
        self.documents = iter(documents)

    def __call__(self, lines, schema):
        found = next(self.documents)
        if isinstance(found, Exception):
            raise found
        return Found(found, truncated=False)


def test_a_page_without_an_answer_is_skipped_and_the_others_are_read(tmp_path, image) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (20, 20)).save(tmp_path / name)
    (tmp_path / "c.png").write_text("no image")
    skipped = []
    reader = Says([1], DocumentError("nothing whole"), [3])
    found = [one.documents for one in extract(tmp_path, reader, schema={}, skip=skipped.append)]
    assert found == [[1], [3]]
    assert [str(error).removeprefix(f"{tmp_path}/") for error in skipped] == [
        "b.png: nothing whole",
        "c.png: is not an image: it looks like text",
    ]
    with pytest.raises(UserError, match=r"b\.png: nothing"):
        list(extract(tmp_path, Says([1], DocumentError("nothing")), schema={}))


def test_the_pages_of_a_pdf_are_read_one_by_one(tmp_path) -> None:
    pytest.importorskip("pypdfium2")
    pages = [Image.new("RGB", (100, 50), colour) for colour in ("white", "red")]
    pages[0].save(tmp_path / "扫描.pdf", save_all=True, append_images=pages[1:])
    found = list(extract(tmp_path / "扫描.pdf", Says([1], [2]), schema={}))
    assert [(one.page, one.documents) for one in found] == [(1, [1]), (2, [2])]


def test_the_verb_prints_documents_and_what_failed(checkpoint, image, tmp_path, ask, capsys) -> None:
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    (tmp_path / "broken.pdf").write_text("no PDF")
    options = ["--schema", tmp_path / "schema.json", "--model", checkpoint, "--max-tokens", 200]
    status, (found,), err = ask("extract", image, tmp_path / "broken.pdf", *options)
    assert status == 1
    jsonschema.validate(found["documents"], SCHEMA)
    assert {"path": str(image), "unsure": 1}.items() <= found.items()
    assert found.keys() == Extracted.__dataclass_fields__.keys()
    assert "broken.pdf: is " in err
    assert "left out, hard to read: 1 line" in err
    assert run(["extract", str(image), *map(str, options)]) == 0
    path, _, shown = capsys.readouterr().out.partition("\n")
    assert (path, json.loads(shown)) == (str(image), found["documents"])
    (tmp_path / "schema.json").write_text('{"uniqueItems": true, "type": "array"}')
    assert run(["extract", str(image), *map(str, options)]) == 2
    assert "uniqueItems" in capsys.readouterr().err


def test_an_image_without_documents_is_named(image, ask, monkeypatch) -> None:
    monkeypatch.setattr("showtell.pipelines.document_readers.load_reader", lambda *_: Says([]))
    status, (found,), err = ask("extract", image)
    assert (status, found["documents"]) == (0, [])
    assert f"no document found in {image}" in err


def test_more_text_than_the_model_reads_is_an_error_of_the_page(model, image, monkeypatch) -> None:
    long = [TextLine("on the mat " * 300, 0.9, LINES[0].box)]
    monkeypatch.setattr("showtell.pipelines.extract.TextReader", lambda: lambda pixels: long)
    with pytest.raises(DocumentError, match=r"png: the conversation .* has \d+ tokens, and \d+ are read"):
        list(extract(image, LanguageReader(model, 50), schema=SCHEMA))


def test_pixels_reach_the_text_reader(image, monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(
        "showtell.pipelines.extract.TextReader", lambda: lambda pixels: seen.append(pixels) or []
    )
    list(extract([image], Says([]), schema={}))
    assert seen[0].shape == (60, 100, 3)
    assert np.all(seen[0] == 255)
