"""Documents by a Qwen-VL folder as published: the same promises, and no text is looked for first."""

import json

import pytest
from PIL import Image

from showtell.pipelines.document_readers import SeeingReader, load_reader
from showtell.pipelines.extract import extract
from showtell.pipelines.image_chat import load_image_chat
from showtell.tasks.documents import DocumentError
from showtell.tasks.grammar import SchemaError
from support.qwen import FAMILIES, qwen_folder

pytest.importorskip("transformers", "5.24")
pytest.importorskip("llguidance")
jsonschema = pytest.importorskip("jsonschema")

SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"文字材料类别": {"enum": ["收据", "身份证"]}, "total": {"enum": [9, 12]}},
        "required": ["文字材料类别", "total"],
        "additionalProperties": False,
    },
}


SLOW = [pytest.param(family, marks=pytest.mark.slow) for family in FAMILIES[1:]]


@pytest.fixture(scope="module", params=[FAMILIES[0], *SLOW])
def folder(request, tmp_path_factory):
    return qwen_folder(tmp_path_factory.mktemp("reads") / request.param, request.param)


@pytest.fixture(scope="module")
def chat(folder):
    return load_image_chat(folder, "cpu")


@pytest.fixture(autouse=True)
def no_text(monkeypatch):
    def refuse() -> None:
        raise AssertionError("printed text is looked for")

    monkeypatch.setattr("showtell.pipelines.extract.TextReader", refuse)


@pytest.fixture
def image(tmp_path):
    Image.effect_mandelbrot((90, 60), (-2, -1.5, 1, 1.5), 40).save(tmp_path / "收据.png")
    return tmp_path / "收据.png"


def test_answers_are_valid_or_whole_items_of_one_that_was_cut(chat, image) -> None:
    for most in (6, 20, 50, 90):
        skipped = []
        found = list(extract(image, SeeingReader(chat, most), schema=SCHEMA, skip=skipped.append))
        assert len(found) + len(skipped) == 1
        for one in found:
            jsonschema.validate(one.documents, SCHEMA)
            assert (one.path, one.page, one.lines, one.model) == (str(image), None, 0, chat.name)
            assert one.documents or not one.truncated
        for error in skipped:
            assert "收据.png: the answer was truncated before one whole item" in str(error)


def test_what_cannot_be_read_is_named_and_the_others_are_read(chat, image, tmp_path) -> None:
    """A strip of 1 x 30,000 is no image for these models."""
    for name, size in {"a.png": (1, 30_000), "b.png": (30_000, 1)}.items():
        Image.new("RGB", size).save(tmp_path / name)
    skipped = []
    schema = {"type": "object", "properties": {"paid": {"type": "boolean"}}, "additionalProperties": False}
    found = list(extract(tmp_path, SeeingReader(chat, 60), schema=schema, skip=skipped.append))
    assert [one.path for one in found] == [str(image)]
    assert [str(error).removeprefix(f"{tmp_path}/")[:6] for error in skipped] == ["a.png:", "b.png:"]
    assert all("aspect ratio" in str(error) for error in skipped)
    with pytest.raises(SchemaError, match="tokens at least, and 1 may be written"):
        list(extract(image, SeeingReader(chat, 1), schema=schema))
    long = {**schema, "description": "cat " * 1000}
    with pytest.raises(DocumentError, match=r"收据\.png: the messages have \d+ tokens .* reads 1024 in all"):
        list(extract(image, SeeingReader(chat, 60), schema=long))


def test_the_verb_reads_with_a_folder(folder, image, tmp_path, ask) -> None:
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    assert isinstance(load_reader(folder, "cpu"), SeeingReader)
    options = ["--schema", tmp_path / "schema.json", "--model", folder, "--max-tokens", 60]
    status, found, err = ask("extract", image, *options)
    assert (status, len(found)) in ((0, 1), (1, 0))
    for one in found:
        jsonschema.validate(one["documents"], SCHEMA)
        assert one["truncated"] == ("truncated after" in err)
    status, _, err = ask("extract", image, *options, "--max-image-tokens", 65)
    assert (status, "makes 64 tokens of an image at most, not 65" in err) == (2, True)
    status, _, err = ask("extract", image, "--max-image-tokens", 65)
    assert (status, "leave out --max-image-tokens" in err) == (2, True)
