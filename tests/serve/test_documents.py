"""`/v1/documents`: a valid document, or an error in the one form."""

import pytest
from starlette.testclient import TestClient

from serve.conftest import data_url
from showtell.data.documents.materials import KIND
from showtell.pipelines.model import load_model
from showtell.serve import documents
from showtell.serve.app import create_app
from support.documents import receipt

pytest.importorskip("llguidance")


@pytest.fixture(scope="module")
def client():
    _, lines = receipt(3)
    app = create_app({"reads": load_model("default_documents"), "captioner": load_model()}, api_key="k")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "_text_reader", lambda: lambda pixels: lines)
        with TestClient(app, headers={"Authorization": "Bearer k"}) as client:
            yield client


def post(client, **body):
    answer = client.post("/v1/documents", json={"image": data_url("red"), **body})
    return answer.status_code, answer.json()


def test_the_document_of_an_image_keeps_the_schema(client) -> None:
    status, found = post(client)
    assert (status, found["truncated"], found["lines"]) == (200, False, 9)
    (one,) = found["documents"]
    assert one[KIND] == "receipt"
    assert one["date"] == receipt(3)[0]["date"]
    dates = {"type": "object", "properties": {"date": {"type": "string"}}, "required": ["date"]}
    assert post(client, model="reads", schema=dates)[1]["documents"] == {"date": one["date"]}


def test_what_cannot_be_answered_is_an_error_in_the_one_form(client) -> None:
    needs = {"type": "object", "properties": {"vat": {"type": "string"}}, "required": ["vat"]}
    cases = [
        ({"schema": needs}, 422, "no_document"),
        ({"schema": {"uniqueItems": True, "type": "array"}}, 400, "invalid_json_schema"),
        ({"model": "captioner"}, 400, "invalid_value"),
        ({"model": "none"}, 404, "model_not_found"),
        ({"image": "http://example.com/a.png"}, 400, "image_url_not_allowed"),
        ({"pages": 2}, 400, "invalid_value"),
    ]
    for body, status, code in cases:
        got, answer = post(client, **body)
        assert (got, answer["error"]["code"]) == (status, code), answer
