"""Another engine behind the same checks: our own server as one, and one that answers badly in every way."""

import json
import logging

import httpx
import openai
import pytest

from serve.conftest import KEY, data_url, running
from serve.test_app import ASKED, Material, seen
from showtell.errors import UserError
from showtell.serve.app import create_app
from showtell.serve.pixels import MAX_IMAGES
from showtell.serve.upstream import Upstream, find_models
from support.hostile_engine import DOCUMENT, hostile_engine

SCHEMA = {
    "type": "object",
    "properties": {"kind": {"enum": ["receipt", "收据"]}, "total": {"type": "number"}},
    "required": ["kind", "total"],
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "material", "schema": SCHEMA}}


def read(client: openai.OpenAI, **asked) -> list:
    """An answer, read to its end where it is a stream."""
    return [*client.chat.completions.create(**asked)]


@pytest.fixture(scope="module")
def front(url):
    """A client of a server without models, before the server of all of them."""
    upstream = Upstream(f"{url}/v1", find_models(f"{url}/v1", KEY), key=KEY, seconds=60)
    with running(create_app({}, upstream=upstream)) as base:
        yield openai.OpenAI(base_url=f"{base}/v1", api_key="-", max_retries=0)


@pytest.fixture(scope="module")
def engine():
    return hostile_engine()


@pytest.fixture(scope="module")
def hostile(engine):
    """A client of a server before one that answers badly."""
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # it breaks off answers on purpose
    with running(engine) as behind:
        upstream = Upstream(f"{behind}/v1", find_models(f"{behind}/v1"), seconds=2)
        with running(create_app({}, upstream=upstream)) as base:
            yield openai.OpenAI(base_url=f"{base}/v1", api_key="-", max_retries=0)
        assert upstream.inside == 0


def test_the_engines_models_answer_as_they_do_without_the_server_before_them(front, client) -> None:
    assert {one.id: one.can for one in front.models.list()} == {
        name: ["chat"] for name in ("captioner", "colours", "chat")
    }
    same = {"model": "chat", "messages": ASKED, "max_tokens": 12, "temperature": 1.5, "seed": 3}
    direct, behind = client.chat.completions.create(**same), front.chat.completions.create(**same)
    assert behind.choices == direct.choices
    assert behind.usage == direct.usage
    chunks = [*front.chat.completions.create(**same, stream=True)]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == direct.choices[0].message.content
    caption = front.chat.completions.create(model="captioner", messages=seen("red")).choices[0]
    assert caption == client.chat.completions.create(model="captioner", messages=seen("red")).choices[0]


def test_the_client_parses_what_the_engine_writes_under_a_schema(front) -> None:
    asked = {"model": "chat", "messages": ASKED, "max_tokens": 60, "temperature": 0}
    answer = front.chat.completions.parse(**asked, response_format=Material).choices[0]
    assert answer.message.parsed.kind in ("receipt", "licence")


def test_a_good_stream_is_passed_on_with_its_usage_and_the_engine_gets_what_was_asked(
    hostile, engine
) -> None:
    answer = hostile.chat.completions.create(model="good", messages=ASKED, seed=3, stop=["x"], user="me")
    assert answer.choices[0].message.content == "Good day."
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (11, 7)
    sent = engine.state.asked
    assert {name: sent[name] for name in ("model", "messages", "seed", "stop", "max_tokens", "stream")} == {
        "model": "good",
        "messages": ASKED,
        "seed": 3,
        "stop": ["x"],
        "max_tokens": 256,
        "stream": True,
    }
    assert "user" not in sent


def test_a_document_is_checked_and_closed_where_the_engine_was_cut(hostile, engine) -> None:
    asked = {"messages": ASKED, "response_format": FORMAT}
    answer = hostile.chat.completions.create(model="valid", **asked).choices[0]
    assert json.loads(answer.message.content) == DOCUMENT | {"kind": "收据"}
    assert engine.state.asked["response_format"]["json_schema"]["schema"] == SCHEMA
    cut = hostile.chat.completions.create(model="lengthy", **asked).choices[0]
    assert cut.finish_reason == "length"
    assert set(json.loads(cut.message.content)) == set(DOCUMENT)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", ["fenced", "other schema", "early", "infinite", "twice", "good"])
def test_a_document_that_breaks_its_schema_is_never_passed_on_as_one(hostile, name, streamed) -> None:
    with pytest.raises(openai.APIError) as refused:
        read(hostile, model=name, messages=ASKED, response_format=FORMAT, stream=streamed)
    assert refused.value.code == "schema_not_met"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("filtered", 502, "engine_failed"),
        ("no end", 502, "engine_failed"),
        ("no done", 502, "engine_failed"),
        ("no json", 502, "engine_failed"),
        ("brackets", 502, "engine_failed"),
        ("no object", 502, "engine_failed"),
        ("no text", 502, "engine_failed"),
        ("surrogate", 502, "engine_failed"),
        ("error", 502, "engine_failed"),
        ("page", 502, "engine_failed"),
        ("nothing", 502, "engine_failed"),
        ("huge", 502, "engine_failed"),
        ("cut", 502, "engine_failed"),
        ("endless", 502, "engine_failed"),
        ("slow", 504, "timeout"),
        ("broken", 502, "engine_failed"),
        ("busy", 503, "overloaded"),
        ("refusing", 400, "refused_by_engine"),
        ("no key", 502, "engine_failed"),
        ("redirecting", 502, "engine_failed"),
    ],
)
def test_an_engine_that_fails_is_told_in_the_one_form(hostile, name, status, code, streamed) -> None:
    with pytest.raises(openai.APIError) as refused:
        read(hostile, model=name, messages=ASKED, stream=streamed)
    assert refused.value.code == code
    if not streamed:
        assert refused.value.status_code == status
    assert "secret" not in str(refused.value)
    if name == "busy":
        assert refused.value.response.headers["retry-after"] == "7"
    if name == "refusing":
        assert "2048" in refused.value.message


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"messages": seen("red") * (MAX_IMAGES + 1)}, "too_many_images"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {}}}}},
            "invalid_json_schema",
        ),
        ({"response_format": FORMAT, "stop": "x"}, "invalid_value"),
        ({"tools": []}, "invalid_value"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": {"url": "http://127.0.0.1/"}}],
                    }
                ]
            },
            "image_url_not_allowed",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
                        ],
                    }
                ]
            },
            "invalid_image",
        ),
    ],
)
def test_a_request_is_refused_before_the_engine_is_asked(hostile, engine, changes, code) -> None:
    engine.state.asked = None
    with pytest.raises(openai.BadRequestError) as refused:
        hostile.chat.completions.create(**({"model": "good", "messages": ASKED} | changes))
    assert refused.value.code == code
    assert engine.state.asked is None


def test_what_the_engine_does_not_do_is_said(hostile) -> None:
    with pytest.raises(openai.BadRequestError, match="another engine's"):
        hostile.embeddings.create(model="good", input="a")
    with pytest.raises(openai.NotFoundError, match="good"):
        hostile.chat.completions.create(model="none", messages=ASKED)
    answer = httpx.post(f"{hostile.base_url}captions", json={"image": data_url("red")})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")
    assert "--model" in answer.json()["error"]["message"]


def test_an_engine_that_is_gone_is_said_to_be(url) -> None:
    upstream = Upstream("http://127.0.0.1:9/v1", ["chat"], seconds=5)
    with running(create_app({}, upstream=upstream)) as base:
        lost = openai.OpenAI(base_url=f"{base}/v1", api_key="-", max_retries=0)
        with pytest.raises(openai.InternalServerError) as refused:
            lost.chat.completions.create(model="chat", messages=ASKED)
    assert (refused.value.status_code, refused.value.code) == (503, "overloaded")
    for wrong in ("http://127.0.0.1:9/v1", f"{url}/v1/none", "no URL"):
        with pytest.raises(UserError, match="--engine takes"):
            find_models(wrong, KEY)
