"""The service keeps its own description, whatever it is sent: schemathesis makes requests of it."""

import json

import httpx
import pytest
from hypothesis import HealthCheck, given, settings

from serve.conftest import KEY, data_url
from serve.test_app import ASKED
from showtell.serve.answers import (
    CaptionsAnswer,
    ChatAnswer,
    EmbeddingsAnswer,
    ImagesAnswer,
    ModelAnswer,
    ModelsAnswer,
    RefusalAnswer,
    SearchAnswer,
)
from showtell.serve.app import create_app

schemathesis = pytest.importorskip("schemathesis")
KEPT = [
    schemathesis.checks.not_a_server_error,
    *(
        getattr(pytest.importorskip("schemathesis.specs.openapi.checks"), name)
        for name in (
            "status_code_conformance",
            "content_type_conformance",
            "response_schema_conformance",
            "negative_data_rejection",
        )
    ),
]


@pytest.fixture(scope="module")
def described(models, searcher):
    return schemathesis.openapi.from_asgi("/openapi.json", create_app(models, searcher, local=False))


def operations() -> list[tuple[str, str, object]]:
    """Every route, asked well and, where it reads a body, asked wrongly."""
    good, wrong = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
    return [
        pytest.param(path, method, mode, id=f"{method} {path} {mode.value}")
        for path, methods in create_app({}).openapi()["paths"].items()
        for method, route in methods.items()
        for mode in ((good, wrong) if "requestBody" in route else (good,))
    ]


@pytest.mark.parametrize("cases", [10, pytest.param(850, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("path", "method", "mode"), operations())
def test_no_request_makes_the_service_leave_its_description(described, path, method, mode, cases) -> None:
    @settings(max_examples=cases, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=described[path][method].as_strategy(generation_mode=mode))
    def keeps(case) -> None:
        case.call_and_validate(checks=KEPT)

    keeps()


def test_good_answers_have_the_fields_of_the_description(url) -> None:
    asked = {
        ("chat/completions", ChatAnswer): {"model": "chat", "messages": ASKED, "max_tokens": 3},
        ("embeddings", EmbeddingsAnswer): {"model": "colours", "input": ["a red square", data_url("red")]},
        ("captions", CaptionsAnswer): {"image": data_url("red"), "num": 2},
        ("search", SearchAnswer): {"query": "a green square"},
        ("similar", ImagesAnswer): {"image": data_url("red")},
        ("models", ModelsAnswer): None,
        ("models/chat", ModelAnswer): None,
        ("none", RefusalAnswer): None,
    }
    with httpx.Client(base_url=f"{url}/v1", headers={"Authorization": f"Bearer {KEY}"}) as http:
        for (path, form), body in asked.items():
            answer = http.get(path) if body is None else http.post(path, json=body)
            form.model_validate_json(answer.content)


def test_the_models_are_in_the_description(models) -> None:
    document = create_app(models).openapi()
    body = document["components"]["schemas"]["ChatRequest"]
    assert body["properties"]["model"]["enum"] == list(models)
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            assert {"400", "401", "503"} <= route["responses"].keys(), (method, path)
    assert "ValidationError" not in json.dumps(document)
