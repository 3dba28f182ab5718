"""The service, asked by the unmodified client of OpenAI and by plain HTTP."""

import base64
import json
from typing import Literal

import httpx
import numpy as np
import openai
import pytest
from pydantic import BaseModel

from serve.conftest import KEY, data_url, running
from showtell.pipelines.generate import generate
from showtell.pipelines.index import index
from showtell.pipelines.search import Searcher
from showtell.serve.app import create_app
from support.library import draw

ASKED = [{"role": "user", "content": "The cat sat on the mat."}]


def seen(colour: str, text: str = "") -> list[dict]:
    image = {"type": "image_url", "image_url": {"url": data_url(colour)}}
    return [{"role": "user", "content": [image, *([{"type": "text", "text": text}] if text else [])]}]


def test_the_models_are_listed_with_what_they_can(client, models) -> None:
    can = {one.id: one.can for one in client.models.list()}
    assert can == {
        "captioner": ["captions", "chat", "embeds_images"],
        "colours": ["embeds_texts", "embeds_images"],
        "chat": ["chat"],
    }
    assert client.models.retrieve("colours").hash == models["colours"].hash


def test_messages_are_answered_as_the_model_answers(client, models) -> None:
    answer = client.chat.completions.create(model="chat", messages=ASKED, max_tokens=8, temperature=0)
    expected = generate(ASKED, models["chat"], 8)
    assert answer.choices[0].message.content == expected.completion
    assert answer.usage.completion_tokens == expected.tokens == 8
    assert answer.usage.prompt_tokens == len(models["chat"].tokenizer.encode_chat(ASKED))
    assert answer.choices[0].finish_reason == "length"


def test_a_stream_is_the_whole_answer_and_a_seed_repeats_it(client) -> None:
    same = {"model": "chat", "messages": ASKED, "max_tokens": 12, "temperature": 1.5, "top_p": 0.9, "seed": 3}
    whole = client.chat.completions.create(**same)
    chunks = [*client.chat.completions.create(**same, stream=True, stream_options={"include_usage": True})]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert len(chunks) > 3
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"
    assert chunks[-1].usage == whole.usage
    other = client.chat.completions.create(**(same | {"seed": 4}))
    assert other.choices[0].message.content != text


class Material(BaseModel):
    """What the client asks for as a schema and reads back."""

    kind: Literal["receipt", "licence"]
    total: int


def test_the_client_parses_an_answer_into_its_own_class(client) -> None:
    asked = {
        "model": "chat",
        "messages": ASKED,
        "max_tokens": 60,
        "temperature": 0,
        "response_format": Material,
    }
    answer = client.chat.completions.parse(**asked).choices[0]
    assert answer.finish_reason == "stop"
    assert answer.message.parsed.kind in ("receipt", "licence")
    with client.chat.completions.stream(**asked) as events:
        assert events.get_final_completion().choices[0].message.content == answer.message.content
    text = {
        "type": "object",
        "properties": {"text": {"type": "string", "minLength": 9}},
        "required": ["text"],
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "text", "schema": text, "strict": True}}
    cut = client.chat.completions.create(**asked | {"response_format": wanted, "max_tokens": 26}).choices[0]
    assert cut.finish_reason == "length"
    assert len(json.loads(cut.message.content)["text"]) >= 9
    free = client.chat.completions.create(**asked | {"response_format": {"type": "json_object"}})
    assert isinstance(json.loads(free.choices[0].message.content), dict)


def test_an_answer_ends_before_a_stop(client) -> None:
    same = {"model": "chat", "messages": ASKED, "max_tokens": 12, "temperature": 0}
    whole = client.chat.completions.create(**same).choices[0].message.content
    stop = whole[len(whole) // 2 : len(whole) // 2 + 2]
    cut = client.chat.completions.create(**same, stop=["not there", stop])
    assert cut.choices[0].message.content == whole[: whole.index(stop)]
    assert cut.choices[0].finish_reason == "stop"


def test_an_image_is_captioned(client, models) -> None:
    raw = client.chat.completions.with_raw_response.create(model="captioner", messages=seen("red", "What?"))
    (expected,) = models["captioner"].caption(np.full((20, 20, 3), (220, 30, 30), np.uint8))
    answer = raw.parse()
    assert answer.choices[0].message.content == expected
    assert "not read" in raw.headers["x-showtell-note"]
    short = client.chat.completions.create(model="captioner", messages=seen("red"), max_tokens=2)
    assert short.choices[0].message.content == " ".join(expected.split()[:2])
    assert short.choices[0].finish_reason == "length"


def test_embeddings_of_texts_and_images_lie_in_one_space(client, models) -> None:
    inputs = ["a red square", data_url("red"), data_url("green")]
    found = client.embeddings.create(model="colours", input=inputs)  # base64, as the client asks by default
    vectors = np.array([one.embedding for one in found.data])
    assert np.allclose(vectors[0], models["colours"].encode_texts("a red square")[0], atol=1e-6)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    plain = client.embeddings.create(model="colours", input=inputs[0], encoding_format="float")
    assert np.array_equal(plain.data[0].embedding, vectors[0])


def test_the_library_is_searched_and_shown(url, searcher) -> None:
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"}) as http:
        for empty in ("", " "):
            error = http.post("/v1/search", json={"query": empty}).json()["error"]
            assert (error["param"], error["message"][:14]) == ("query", "query is empty")
        found = http.post("/v1/search", json={"query": "a green square", "top": 2}).json()["data"]
        assert found[0]["name"] == "green.png"
        assert "/" not in json.dumps([one["name"] for one in found])
        nearest = http.post("/v1/similar", json={"id": found[0]["id"], "top": 9}).json()["data"]
        assert len(nearest) == 3
        assert "green.png" not in {one["name"] for one in nearest}
        by_image = http.post("/v1/similar", json={"image": data_url("blue")}).json()["data"]
        assert by_image[0]["name"] == "blue.png"
        thumbnail = http.get(f"/v1/images/{found[0]['id']}")
        assert thumbnail.content[:3] == b"\xff\xd8\xff"
        assert http.get("/v1/images/none").json()["error"]["code"] == "not_found"
        captions = http.post("/v1/captions", json={"image": data_url("red"), "num": 2}).json()
        assert len(captions["data"]) == 2
        assert captions["data"][0]["logprob"] >= captions["data"][1]["logprob"] - 5
        assert captions["model"] == "captioner"


def test_an_engine_searches_with_a_served_model_that_supports_it(models, tmp_path) -> None:
    """`captions` needs no model, `likelihood` the captioner, though a dual encoder searches by default.

    All answer with the captioner's caption of the image, which the dual encoder's vectors come without.
    """
    draw(tmp_path / "images" / "red.png", "red")
    (tmp_path / "images" / "red.txt").write_text("a tomato")
    for name in ("captioner", "colours"):
        index(tmp_path / "images", tmp_path / "library", models[name])
    default = Searcher(tmp_path / "library", models["colours"])
    (caption,) = models["captioner"].caption(tmp_path / "images" / "red.png")
    with running(create_app(models, default)) as base, httpx.Client(base_url=base) as http:
        for engine in ("captions", "likelihood", "dot"):
            found = http.post("/v1/search", json={"query": "a tomato", "engine": engine}).json()
            assert [one["name"] for one in found["data"]] == ["red.png"], engine
            assert found["data"][0]["caption"] == caption, engine
        alike = http.post("/v1/similar", json={"image": data_url("red")}).json()["data"]
        assert [one["caption"] for one in alike] == [caption]
    with running(create_app({"chat": models["chat"]}, default)) as base:
        answer = httpx.post(f"{base}/v1/search", json={"query": "a tomato", "engine": "likelihood"})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "engine")
        assert "--model" in answer.json()["error"]["message"]


def test_the_description_has_every_field_and_loads_nothing_from_elsewhere(url) -> None:
    page = httpx.get(f"{url}/docs", headers={"Authorization": f"Bearer {KEY}"}).text
    assert "POST /v1/embeddings" in page
    assert "encoding_format" in page
    assert "number, &gt;= 0, &lt;= 2" in page  # the temperature
    assert "src=" not in page.replace('<img alt="">', "")
    assert "http" not in page.replace("http-equiv", "").replace("HTTP", "")
    assert httpx.get(f"{url}/redoc", headers={"Authorization": f"Bearer {KEY}"}).status_code == 404


@pytest.mark.parametrize(
    ("given", "param", "said"),
    [
        ([], "input", "at least 1 item"),
        (3, "input", "valid string"),
        (["a", 3], "input.1", "valid string"),
        ("\ud800", "input", "surrogate"),
    ],
)
def test_a_field_of_several_types_is_named_as_in_the_body(url, given, param, said) -> None:
    body = json.dumps({"model": "colours", "input": given})
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    error = httpx.post(f"{url}/v1/embeddings", content=body, headers=headers).json()["error"]
    assert error["param"] == param
    assert said in error["message"]


@pytest.mark.parametrize(
    ("changes", "error", "code", "param"),
    [
        ({"model": "none"}, openai.NotFoundError, "model_not_found", "model"),
        ({"model": "colours"}, openai.BadRequestError, "invalid_value", "model"),
        ({"messages": []}, openai.BadRequestError, "invalid_value", "messages"),
        ({"messages": seen("red")}, openai.BadRequestError, "invalid_value", "messages"),
        ({"temperature": 3}, openai.BadRequestError, "invalid_value", "temperature"),
        ({"n": 2}, openai.BadRequestError, "invalid_value", "n"),
        ({"logprobs": True}, openai.BadRequestError, "invalid_value", "logprobs"),
        ({"tools": []}, openai.BadRequestError, "invalid_value", "tools"),
        ({"max_tokens": 119}, openai.BadRequestError, "context_length_exceeded", "messages"),
        ({"max_tokens": 500}, openai.BadRequestError, "invalid_value", None),
        (
            {"response_format": {"type": "json_object"}, "stop": "x"},
            openai.BadRequestError,
            "invalid_value",
            "stop",
        ),
        (
            {"response_format": {"type": "yaml"}},
            openai.BadRequestError,
            "invalid_value",
            "response_format",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {}}}}},
            openai.BadRequestError,
            "invalid_json_schema",
            "response_format",
        ),
        (
            {"model": "captioner", "messages": seen("red"), "response_format": {"type": "json_object"}},
            openai.BadRequestError,
            "invalid_value",
            "response_format",
        ),
        ({"model": "captioner"}, openai.BadRequestError, "invalid_value", "messages"),
        (
            {"model": "captioner", "messages": seen("red"), "temperature": 1},
            openai.BadRequestError,
            "invalid_value",
            "temperature",
        ),
    ],
)
def test_a_refusal_is_of_the_clients_class_and_names_the_field(client, changes, error, code, param) -> None:
    with pytest.raises(error) as refused:
        client.chat.completions.create(**({"model": "chat", "messages": ASKED, "max_tokens": 4} | changes))
    assert refused.value.code == code
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("image", "code"),
    [
        ("https://example.org/a.jpg", "image_url_not_allowed"),
        ("file:///etc/passwd", "image_url_not_allowed"),
        ("data:text/html;base64,AAAA", "image_url_not_allowed"),
        ("data:image/png;base64,%%%", "invalid_image"),
        ("data:image/png;base64," + base64.b64encode(b"no image").decode(), "invalid_image"),
    ],
)
def test_only_images_in_the_request_are_read(client, image, code) -> None:
    messages = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": image}}]}]
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="captioner", messages=messages)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        (b"\xff", 400, "invalid_json"),
        (b"[" * 100_000, 400, "invalid_json"),
        (b'{"model": "colours", "input": "\\ud800"}', 400, "invalid_value"),
        (b'{"model": "colours", "input": ""}', 400, "invalid_value"),
        (b'{"model": "colours", "input": [[1, 2]]}', 400, "invalid_value"),
        (b'{"model": "colours", "input": "x", "dimensions": 3}', 400, "invalid_value"),
        (b'{"model": "colours", "input": "' + b"word " * 99 + b'"}', 400, "invalid_value"),
        (b'{"model": "chat", "input": "x"}', 400, "invalid_value"),
        (b" " * (2 << 20), 413, "body_too_large"),
    ],
)
def test_bodies_that_are_wrong_are_refused_in_one_form(url, content, status, code) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    answer = httpx.post(f"{url}/v1/embeddings", content=content, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_keys_routes_and_types_are_checked(url, client) -> None:
    for key in ("", "wrong"):
        with pytest.raises(openai.AuthenticationError):
            openai.OpenAI(base_url=f"{url}/v1", api_key=key or "-", max_retries=0).models.list()
    assert httpx.get(f"{url}/health").json()["status"] == "ok"
    assert httpx.get(f"{url}/openapi.json").status_code == 401
    headers = {"Authorization": f"Bearer {KEY}"}
    for method, path, status, code in (
        ("GET", "/none", 404, "not_found"),
        ("GET", "/v1/embeddings", 405, "method_not_allowed"),
        ("POST", "/v1/embeddings", 415, "unsupported_media_type"),
    ):
        answer = httpx.request(method, f"{url}{path}", headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_the_figures_count_answers_and_refusals(url, client) -> None:
    client.embeddings.create(model="colours", input="a red square")
    client.chat.completions.create(model="chat", messages=ASKED, max_tokens=1)
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="none", input="a red square")
    text = httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {KEY}"}).text
    for status in ("200", "404"):
        assert f'showtell_requests_total{{route="/v1/embeddings",status="{status}"}}' in text
    assert 'showtell_tokens_total{model="chat"}' in text
