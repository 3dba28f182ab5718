"""`/v1/documents` with a Qwen-VL folder: the same promises and errors, in batches with other questions."""

import base64
import io
import struct
import zlib

import pytest
from PIL import Image
from starlette.testclient import TestClient

from serve.conftest import data_url
from showtell.pipelines.image_chat import load_image_chat
from showtell.serve import documents
from showtell.serve.app import create_app
from support.qwen import qwen_folder

pytest.importorskip("transformers", "5.24")
pytest.importorskip("llguidance")
jsonschema = pytest.importorskip("jsonschema")

SCHEMA = {"type": "array", "items": {"enum": ["收据", "身份证"]}, "maxItems": 3}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    chat = load_image_chat(qwen_folder(tmp_path_factory.mktemp("served") / "qwen", "qwen2_vl"), "cpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "_text_reader", lambda: pytest.fail("printed text is looked for"))
        app = create_app({"qwen": chat}, api_key="k")
        with TestClient(app, headers={"Authorization": "Bearer k"}) as client:
            yield client


def blank(*size: int) -> bytes:
    content = io.BytesIO()
    Image.new("L", size).save(content, "PNG")
    return content.getvalue()


def enlarged(png: bytes, *size: int) -> bytes:
    """The file with another size in its header."""
    header = b"IHDR" + struct.pack(">II", *size) + png[24:29]
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]


def as_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def post(client, **body):
    same = {"image": data_url("red"), "model": "qwen", "schema": SCHEMA}
    answer = client.post("/v1/documents", json=same | body)
    return answer.status_code, answer.json()


def test_the_document_of_an_image_keeps_the_schema(client) -> None:
    status, found = post(client)
    assert (status, found["truncated"], found["lines"]) == (200, False, 0)
    assert found["model"].startswith("qwen@")
    jsonschema.validate(found["documents"], SCHEMA)


def test_what_cannot_be_answered_is_an_error_in_the_one_form(client) -> None:
    cases = [
        ({"schema": {"uniqueItems": True, "type": "array"}}, 400, "invalid_json_schema"),
        ({"schema": {"type": "string", "minLength": 900}}, 400, "invalid_json_schema"),
        ({"schema": {"type": "object", "description": "cat " * 2000}}, 422, "no_document"),
        ({"image": "http://example.com/a.png"}, 400, "image_url_not_allowed"),
        ({"image": "data:image/png;base64,AAAA"}, 400, "invalid_image"),
        ({"image": as_url(blank(1, 30_000))}, 422, "no_document"),
        ({"image": as_url(blank(30_000, 1))}, 422, "no_document"),
        ({"image": as_url(enlarged(blank(1, 1), 20_000, 20_000))}, 400, "invalid_image"),
    ]
    for body, status, code in cases:
        got, answer = post(client, **body)
        assert (got, answer["error"]["code"]) == (status, code), answer
    assert "20000 x 20000, more than the 50,000,000 pixels allowed" in answer["error"]["message"]
