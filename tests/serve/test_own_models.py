"""showtell's own models of images and questions behind `/v1/chat/completions`."""

from dataclasses import replace

import numpy as np
import openai
import pytest
import torch

from serve.conftest import data_url, running
from showtell.checkpoint.save import save_checkpoint
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.caches import pixel_preprocess
from showtell.pipelines.ask import best_answers, cuts_of
from showtell.pipelines.generate import stream
from showtell.pipelines.model import load_model
from showtell.serve.app import Limits, create_app
from showtell.systems.blip_finetuned import BLIPAnswererConfig
from showtell.systems.vilt_finetuned import ViLTAnswererConfig
from support.dual import COLOURS
from support.llava import llava_folder
from support.tiny import tiny

QUESTION = "what is it?"
NAMES = ("red", "green", "blue", "yes", "no")


def fused_folder(folder, config):
    """A random system of images and questions."""
    tokenizer = SubwordTokenizer.train([QUESTION, *NAMES] * 3, "wordpiece", 60, "bert")
    torch.manual_seed(0)
    system = config.with_tokenizer(tokenizer).build()
    with torch.no_grad():
        for weight in system.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    read = pixel_preprocess(16)
    save_checkpoint(folder, system, record={}, tokenizer_json=tokenizer.to_json(), preprocess=read, card="")
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    out = tmp_path_factory.mktemp("served")
    vilt = tiny(ViLTAnswererConfig()).with_classes(NAMES)
    folders = {
        "llava": llava_folder(out / "llava", [QUESTION] * 3),
        "blip": fused_folder(out / "blip", replace(tiny(BLIPAnswererConfig()), max_length=12)),
        "vilt": fused_folder(out / "vilt", replace(vilt, max_length=12)),
        "nlvr": fused_folder(out / "nlvr", replace(vilt, max_length=12).with_images(2, True)),
    }
    return {name: load_model(folder, "cpu") for name, folder in folders.items()}


@pytest.fixture(scope="module")
def client(models):
    with running(create_app(models, limits=Limits(seconds=60))) as base:
        yield openai.OpenAI(base_url=f"{base}/v1", api_key="-", max_retries=0)


def pixels(model, colour):
    return model.prepare(np.full((20, 20, 3), COLOURS[colour], np.uint8))


def seen(text: str, *colours: str) -> list[dict]:
    images = [{"type": "image_url", "image_url": {"url": data_url(colour)}} for colour in colours]
    return [{"role": "user", "content": [*images, *([{"type": "text", "text": text}] if text else [])]}]


def ask(client, model, messages, **more):
    return client.chat.completions.create(model=model, messages=messages, **{"temperature": 0, **more})


def test_they_are_listed_with_what_they_can(client) -> None:
    can = {one.id: one.can for one in client.models.list()}
    assert can["llava"] == ["captions", "chat", "answers_about_images", "embeds_images"]
    assert all({"chat", "answers_about_images"} <= set(can[name]) for name in ("blip", "vilt", "nlvr"))
    assert not any("captions" in can[name] for name in ("blip", "vilt", "nlvr"))


def test_a_language_model_answers_about_images_and_streams(client, models) -> None:
    model, asked = models["llava"], seen(QUESTION, "red", "blue")
    whole = ask(client, "llava", asked, max_tokens=8)
    parts = [{"type": "image"}, {"type": "image"}, {"type": "text", "text": QUESTION}]
    images = [pixels(model, "red"), pixels(model, "blue")]
    expected = [*stream([{"role": "user", "content": parts}], model, 8, images=images)]
    assert whole.choices[0].message.content == "".join(piece.text for piece in expected)
    assert whole.choices[0].finish_reason == expected[-1].finish
    assert whole.usage.prompt_tokens == expected[-1].prompt_tokens > 2 * 16
    chunks = [*ask(client, "llava", asked, max_tokens=8, stream=True)]
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == whole.choices[0].message.content
    others = (seen(QUESTION, "blue", "red"), seen(QUESTION, "red", "red"), seen(QUESTION))
    texts = {ask(client, "llava", one, max_tokens=8).choices[0].message.content for one in others}
    assert len({*texts, whole.choices[0].message.content}) == 4


def test_a_conversation_goes_on_about_its_image(client, models) -> None:
    first = seen(QUESTION, "red")
    said = ask(client, "llava", first, max_tokens=4).choices[0].message.content
    more = [*first, {"role": "assistant", "content": said}, {"role": "user", "content": "is it red?"}]
    assert ask(client, "llava", more, max_tokens=4).usage.prompt_tokens > 16


def test_an_image_without_words_is_captioned_by_a_model_that_captions(client, models) -> None:
    (expected,) = models["llava"].caption(np.full((20, 20, 3), COLOURS["red"], np.uint8))
    answer = ask(client, "llava", seen("", "red"))
    assert answer.choices[0].message.content == expected


@pytest.mark.parametrize(
    ("name", "colours"), [("blip", ["red"]), ("vilt", ["red"]), ("nlvr", ["red", "blue"])]
)
def test_a_question_is_answered_as_by_ask(name, colours, client, models) -> None:
    model = models[name]
    images = [pixels(model, colour) for colour in colours]
    best = best_answers(model, images, QUESTION, cuts_of(model, True), 1)[0]
    answer = ask(client, name, seen(QUESTION, *colours))
    assert answer.choices[0].message.content == best.answer
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens == len(model.tokenizer.encode(QUESTION))
    chunks = [*ask(client, name, seen(QUESTION, *colours), stream=True)]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == best.answer
    earlier = [{"role": "system", "content": "Answer."}, *seen(QUESTION, *colours)]
    raw = client.chat.completions.with_raw_response.create(model=name, messages=earlier)
    assert "read alone" in raw.headers["x-showtell-note"]


def refused(client, name, messages, **more) -> str:
    with pytest.raises(openai.BadRequestError) as error:
        ask(client, name, messages, **more)
    return f"{error.value.code}: {error.value}"


def test_what_a_model_cannot_is_refused(client) -> None:
    for name in ("blip", "vilt"):
        assert "answers questions about 1 image:" in refused(client, name, seen(QUESTION))
        assert "answers questions about 1 image:" in refused(client, name, seen("", "red"))
        assert "answers questions about 1 image:" in refused(client, name, seen(QUESTION, "red", "blue"))
        assert "most probable" in refused(client, name, seen(QUESTION, "red"), temperature=1)
        wanted = {"type": "json_object"}
        assert "no JSON" in refused(client, name, seen(QUESTION, "red"), response_format=wanted)
        assert "question" in refused(client, name, seen("what? " * 30, "red"))
    assert "answers questions about 2 images:" in refused(client, "nlvr", seen(QUESTION, "red"))
    assert "context_length_exceeded" in refused(client, "llava", seen("what? " * 90, "red"), max_tokens=9)
    assert "name 2 images, and 1 came along" in refused(
        client, "llava", seen("<image>?", "red"), max_tokens=9
    )
    assert "too_many_images" in refused(client, "llava", seen(QUESTION, *["red"] * 9), max_tokens=9)
