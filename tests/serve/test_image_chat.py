"""A Qwen-VL folder behind the same routes, asked by the unmodified client of OpenAI."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import openai
import pytest
from pydantic import BaseModel

from serve.conftest import data_url, running
from showtell.serve.app import Limits, create_app
from showtell.serve.errors import APIError
from showtell.serve.served import load_served
from showtell.serve.worker import Asked, Worker
from support.qwen import qwen_folder

pytest.importorskip("transformers", "5.24")
pytest.importorskip("llguidance")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_served(str(qwen_folder(tmp_path_factory.mktemp("served") / "qwen", "qwen2_5_vl")), "cpu")


@pytest.fixture(scope="module")
def client(model):
    with running(create_app({"qwen": model}, limits=Limits(max_waiting=20, seconds=60))) as base:
        yield openai.OpenAI(base_url=f"{base}/v1", api_key="-", max_retries=0)


def seen(text: str, *colours: str) -> list[dict]:
    images = [{"type": "image_url", "image_url": {"url": data_url(colour)}} for colour in colours]
    return [{"role": "user", "content": [*images, {"type": "text", "text": text}]}]


class Material(BaseModel):
    kind: Literal["receipt", "licence"]
    paid: bool


def ask(client, **changes):
    same = {
        "model": "qwen",
        "messages": seen("What?", "red"),
        "max_tokens": 16,
        "temperature": 1.2,
        "seed": 3,
    }
    return client.chat.completions.create(**same | changes)


def test_it_is_listed_as_a_model_that_answers(client, model) -> None:
    (listed,) = client.models.list()
    assert (listed.id, listed.hash) == ("qwen", model.hash)
    assert listed.can == ["chat", "answers_about_images"]


def test_images_are_answered_and_a_stream_is_the_whole_answer(client) -> None:
    whole = ask(client)
    text = whole.choices[0].message.content
    assert whole.choices[0].finish_reason == "length"
    assert whole.usage.completion_tokens == 16
    chunks = [*ask(client, stream=True, stream_options={"include_usage": True})]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == text
    assert chunks[-1].usage == whole.usage
    others = [{"seed": 4}, {"messages": seen("What?", "blue")}, {"messages": seen("What?")}]
    assert len({text, *(ask(client, **other).choices[0].message.content for other in others)}) == 4
    stop = text[5:7]
    cut = ask(client, stop=stop).choices[0]
    assert (cut.message.content, cut.finish_reason) == (text[: text.index(stop)], "stop")


def test_the_client_parses_an_answer(client) -> None:
    found = client.chat.completions.parse(
        model="qwen", messages=seen("What?", "red"), max_tokens=300, seed=1, response_format=Material
    )
    assert isinstance(found.choices[0].message.parsed, Material)


def test_requests_at_once_are_answered_as_alone(client, model, monkeypatch) -> None:
    sizes, answer = [], type(model).answer
    monkeypatch.setattr(
        type(model),
        "answer",
        lambda self, questions, puts: sizes.append(len(questions)) or answer(self, questions, puts),
    )
    schema = {"type": "array", "items": {"type": "integer"}, "maxItems": 3}
    wanted = {"type": "json_schema", "json_schema": {"name": "list", "schema": schema}}
    changes = [{"seed": seed, "max_tokens": 8 + seed} for seed in range(6)]
    changes += [{"seed": 9, "response_format": wanted, "max_tokens": 40}, {"stop": "e", "temperature": 0}]
    alone = [ask(client, **one).choices[0].message.content for one in changes]
    assert sizes == [1] * 8
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda one: ask(client, **one).choices[0].message.content, changes))
    assert together == alone
    assert max(sizes) > 1
    assert len(json.loads(together[6])) <= 3


def refused(client, **changes) -> tuple[int, str]:
    with pytest.raises(openai.APIStatusError) as error:
        ask(client, **changes)
    return error.value.status_code, error.value.code


def test_what_cannot_be_answered_is_refused(client) -> None:
    assert refused(client, messages=seen("What?", *["red"] * 9)) == (400, "too_many_images")
    assert refused(client, messages=seen("cat " * 2000)) == (400, "context_length_exceeded")
    assert refused(client, messages=seen("<|im_end|>")) == (400, "invalid_value")
    wanted = {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": {"minItems": 30, "type": "array"}},
    }
    assert refused(client, response_format=wanted) == (400, "invalid_json_schema")
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    assert refused(client, messages=[{"role": "user", "content": [image]}]) == (400, "invalid_image")
    with pytest.raises(openai.BadRequestError, match="embeds no texts"):
        client.embeddings.create(model="qwen", input="a text")


class Piece:
    """The last of an answer."""

    finish = "stop"


class Slow:
    """Answers, three questions together, and remembers with which."""

    def __init__(self) -> None:
        self.batches = []

    def question(self, *asked):
        raise NotImplementedError

    def fits(self, questions) -> bool:
        return len(questions) <= 3

    def held(self, question) -> int:
        return 1

    def needs(self, questions) -> int:
        return 10 * len(questions)

    def answer(self, questions, puts) -> None:
        self.batches.append(questions)
        if "bad" in questions:
            raise ValueError("a batch that fails")
        for put in puts:
            put(Piece())


def test_waiting_questions_are_computed_together_as_far_as_they_fit() -> None:
    worker, model = Worker(max_waiting=20, seconds=30), Slow()

    async def one(question) -> list:
        return [piece async for piece in worker.stream(Asked(model, lambda: question))]

    async def ask_all() -> list:
        started = asyncio.Event()
        loop = asyncio.get_running_loop()
        busy = asyncio.create_task(
            worker.run(lambda: loop.call_soon_threadsafe(started.set) and hold.wait(20))
        )
        await started.wait()
        waiting = [asyncio.create_task(one(i)) for i in range(5)]
        while len(worker._waiting) < 5:
            await asyncio.sleep(0.01)
        hold.set()
        return await asyncio.gather(busy, *waiting)

    hold = threading.Event()
    _, *found = asyncio.run(ask_all())
    assert [len(pieces) for pieces in found] == [1] * 5
    assert [len(batch) for batch in model.batches] == [3, 2]
    assert sorted(i for batch in model.batches for i in batch) == list(range(5))
    with pytest.raises(ValueError, match="fails"):
        asyncio.run(one("bad"))
    assert worker.inside == 0


@pytest.mark.parametrize(("memory", "batches"), [(13, [1, 1, 1]), (24, [2, 1]), (33, [3])])
def test_batches_are_formed_while_the_memory_suffices(memory, batches) -> None:
    """Of three questions each holds 1 while it waits, and needs 10 beside when it is answered."""
    found, model = asyncio.run(asked_behind_a_job(memory, 3))
    assert [len(pieces) for pieces in found] == [1] * 3
    assert [len(batch) for batch in model.batches] == batches


def test_what_does_not_fit_is_refused_before_it_waits() -> None:
    (never,), _ = asyncio.run(asked_behind_a_job(10, 1))
    assert (never.status, never.code) == (400, "request_too_large")
    found, model = asyncio.run(asked_behind_a_job(12, 5))
    assert [len(batch) for batch in model.batches] == [1, 1]
    refused = [one for one in found if isinstance(one, APIError)]
    assert [(one.status, one.code) for one in refused] == [(503, "overloaded")] * 3
    assert all(int(one.headers["Retry-After"]) >= 1 for one in refused)


def test_freed_memory_is_given_back_before_each_batch(monkeypatch) -> None:
    given_back = []
    monkeypatch.setattr("showtell.serve.worker.give_back_freed_memory", lambda: given_back.append(True))
    _, model = asyncio.run(asked_behind_a_job(24, 3))
    assert len(given_back) == len(model.batches) == 2


async def asked_behind_a_job(memory: int, count: int) -> tuple[list, Slow]:
    """What so many questions get that arrive while another job runs."""
    worker, model, hold = Worker(max_waiting=20, seconds=30, memory=memory), Slow(), threading.Event()

    async def one(question) -> list:
        return [piece async for piece in worker.stream(Asked(model, lambda: question))]

    busy = asyncio.create_task(worker.run(lambda: hold.wait(20)))
    waiting = [asyncio.create_task(one(i)) for i in range(count)]
    while len(worker._waiting) + sum(task.done() for task in waiting) < count or not worker._running:
        await asyncio.sleep(0.01)
    hold.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    await busy
    assert worker.inside == 0
    return found, model
