"""`showtell chat`: question after question about the same images."""

import io
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from showtell.checkpoint.load import load_checkpoint
from showtell.checkpoint.save import save_checkpoint
from showtell.cli.main import run
from showtell.data.images.decode import load_image
from showtell.errors import UsageError, UserError
from showtell.pipelines.chat import chat_about, open_chat
from showtell.pipelines.generate import stream
from showtell.pipelines.image_chat import load_image_chat
from showtell.pipelines.model import load_model
from showtell.pipelines.prompt import TooLongError
from showtell.tasks.pen import Piece, Sampling
from support.llava import llava_folder
from support.qwen import qwen_folder

ASKED = ["what is it?", "is it red?", "how many are there?"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return llava_folder(tmp_path_factory.mktemp("llava") / "model", [" ".join(ASKED)] * 3)


@pytest.fixture(scope="module")
def model(folder):
    return load_model(folder, "cpu")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    out, draw = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(draw.integers(0, 255, (20, 16, 3), dtype=np.uint8)).save(out / f"{number}.png")
    return [str(out / f"{number}.png") for number in range(3)]


def from_the_start(model, messages, images, max_tokens) -> str:
    """The most probable answer, everything read anew for each token."""
    tokenizer, system = model.tokenizer, model.system
    ids = tokenizer.encode_chat(messages, system.image_id)
    encoded = model.encode([model.read(path) for path in images])
    ids = [one for i in ids for one in ([i] * 16 if i == system.image_id else [i])]
    begun = len(ids)
    with torch.no_grad():
        for _ in range(max_tokens):
            row = torch.tensor([ids])
            tokens, _ = system.extend_seen(system.empty_cache(1), row, row >= 0, encoded)
            logits = system.next_token_logits(tokens[0, -1])
            logits[tokenizer.never_generated(len(logits))] = -torch.inf
            if int(logits.argmax()) == tokenizer.end:
                break
            ids.append(int(logits.argmax()))
    return tokenizer.decode(ids[begun:])


def counting(extend, lengths):
    """`extend` that notes how many tokens it is given."""

    def counted(self, state, ids, *more):
        lengths.append(ids.shape[1])
        return extend(self, state, ids, *more)

    return counted


def test_each_answer_is_that_of_the_whole_conversation(model, images, monkeypatch):
    system, read = type(model.system), {"extend": [], "extend_seen": []}
    for name, lengths in read.items():
        monkeypatch.setattr(system, name, counting(getattr(system, name), lengths))
    talk, messages = chat_about(images[:2], model), []
    for number, question in enumerate(ASKED):
        pieces: list[Piece] = []
        found = talk.ask(question, 6, pieces.append)
        shown = "<image>\n<image>\n" if number == 0 else ""
        messages.append({"role": "user", "content": shown + question})
        assert found.completion == "".join(piece.text for piece in pieces)
        assert len(pieces) > 1
        messages.append({"role": "assistant", "content": found.completion})
    (first,) = read["extend_seen"]  # the images are read with the first question alone
    assert max(read["extend"]) < first
    for place in (1, 3, 5):
        assert from_the_start(model, messages[:place], images[:2], 6) == messages[place]["content"]


def test_an_answer_depends_on_the_image(model, images):
    answers = {chat_about([path], model).ask(ASKED[0], 8).completion for path in images}
    assert len(answers) == 3


def test_a_conversation_that_is_too_long_is_refused_with_both_counts(model, images):
    talk = chat_about(images[:1], model)
    with pytest.raises(
        TooLongError, match=r"has \d+ tokens with their images, and 190 are read before 10 more"
    ):
        talk.ask("is it red? " * 40, 10)
    assert talk.messages == []
    with pytest.raises(UsageError, match="empty"):
        talk.ask(" ")
    with pytest.raises(UserError, match="name 2 images, and 1 came along"):
        talk.ask("<image> and that?", 10)
    with pytest.raises(UsageError, match="ask for 199 or fewer"):
        talk.ask(ASKED[0], 200)


def ask(monkeypatch, text, *arguments) -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    return run(["chat", *map(str, arguments)])


def test_questions_come_from_standard_input_and_answers_are_json(folder, images, monkeypatch, capsys):
    asked = "\n".join([ASKED[0], "", "is it red? " * 60, ASKED[1]])
    given = (images[0], "--model", folder, "--max-tokens", 5)
    assert ask(monkeypatch, asked, *given, "--json") == 1
    out, err = capsys.readouterr()
    found = [json.loads(line) for line in out.splitlines()]
    assert [one["question"] for one in found] == ASKED[:2]
    assert [(one["tokens"], one["finish"]) for one in found] == [(5, "length")] * 2
    assert "tokens with their images, and 195 are read before 5 more" in err
    assert ask(monkeypatch, ASKED[0], *given) == 0
    out, err = capsys.readouterr()
    assert out == found[0]["answer"] + "\n"
    assert "cut after 5 tokens" in err


def test_what_cannot_answer_is_refused(folder, images, monkeypatch, capsys, tmp_path):
    assert ask(monkeypatch, "what?", images[0]) == 2
    assert "no model that answers about images is shipped" in capsys.readouterr().err
    with pytest.raises(UsageError, match="is not an image reader: it cannot chat; name one with --model, of"):
        chat_about(
            images[:1], replace(load_model(folder, "cpu"), system=load_checkpoint(folder).system.language)
        )
    assert ask(monkeypatch, "what?", tmp_path / "none.png", "--model", folder) == 1
    assert "none.png" in capsys.readouterr().err
    checkpoint = load_checkpoint(folder)
    save_checkpoint(
        *(tmp_path / "plain", checkpoint.system),
        record={},
        tokenizer_json=checkpoint.tokenizer_json,
        preprocess={**checkpoint.preprocess, "texts": {}},
        card="",
    )
    assert ask(monkeypatch, "what?", images[0], "--model", tmp_path / "plain", "--max-tokens", 5) == 2
    assert "has no chat template" in capsys.readouterr().err
    assert ask(monkeypatch, "what?", images[0], "--model", folder) == 2
    assert "ask for 199 or fewer" in capsys.readouterr().err


@pytest.mark.slow
def test_a_qwen_folder_remembers_its_answers(images, tmp_path):
    pytest.importorskip("transformers", "5.24")
    folder = qwen_folder(tmp_path / "qwen", "qwen2_vl")
    talk, pieces = open_chat(images[:1], str(folder), "cpu"), []
    first = talk.ask(ASKED[0], 5, pieces.append)
    assert first.completion == "".join(piece.text for piece in pieces)
    second = talk.ask(ASKED[1], 5)
    parts = [{"type": "image"}, {"type": "text", "text": ASKED[0]}]
    said = [
        {"role": "user", "content": parts},
        {"role": "assistant", "content": first.completion},
        {"role": "user", "content": [{"type": "text", "text": ASKED[1]}]},
    ]
    model = load_image_chat(folder, "cpu")
    pixels = [load_image(images[0])]
    for number, found in ((1, first), (3, second)):
        assert found.completion == model.generate(said[:number], pixels, Sampling(5)).completion


PARTS = (
    "{% for m in messages %}{{ m['role'] | upper }}: "
    "{% for part in m['content'] | selectattr('type', 'equalto', 'image') %}<image>\n{% endfor %}"
    "{% for part in m['content'] | selectattr('type', 'equalto', 'text') %}{{ part['text'] }}{% endfor %}"
    "{% if m['role'] == 'assistant' %}<|im_end|>{% endif %} "
    "{% endfor %}{% if add_generation_prompt %}ASSISTANT: {% endif %}"
)
"""As LLaVA's published folders have it: a content that is no list of parts is left out."""


def test_a_template_of_parts_alone_writes_questions_answers_and_images(folder, images):
    model = load_model(folder, "cpu")
    model.vocabulary = model.tokenizer.reading({"chat_template": PARTS})
    image_id = model.system.image_id
    asked = [{"role": "user", "content": "<image>\nwhat is it?"}, {"role": "assistant", "content": "red"}]
    ids, answers = model.tokenizer.encode_answers(asked, image_id)
    before = [i for i, answer in zip(ids, answers, strict=True) if not answer]
    assert model.tokenizer.decode([i for i in ids if i != image_id]) == "USER: \nwhat is it? ASSISTANT: red"
    assert model.tokenizer.encode_chat(asked[:1], image_id) == before
    parts = [{"type": "image"}, {"type": "text", "text": "what is it?"}]
    pixels = [model.read(images[0])]
    (one, two) = (
        "".join(p.text for p in stream([{"role": "user", "content": content}], model, 6, images=pixels))
        for content in (parts, asked[0]["content"])
    )
    assert one == two == chat_about(images[:1], model).ask("what is it?", 6).completion
