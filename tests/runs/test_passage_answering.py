"""Answering runs: pixels and tokens on the same questions, from scratch and from a reader."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from showtell.checkpoint.load import load_checkpoint
from showtell.data.images.page import Page
from showtell.data.images.render.fonts import BUILT_IN
from showtell.data.qa.examples import Question
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.question_windows import QuestionWindows
from showtell.datasets.text_inputs import Drawn, Tokens
from showtell.errors import UserError
from showtell.pipelines import classify_texts as pipeline
from showtell.recipes.launch import train_model
from showtell.runs import finetuning, pixel_text

SMALL = [
    *("system.width=32", "system.depth=1", "system.num_heads=2", "system.mlp_dim=64"),
    *(
        "train.batch_size=8",
        "train.warmup_steps=2",
        "train.checkpoint_every=100",
        "train.learning_rate=0.003",
    ),
]
NAMES = ["Ann", "Bob", "Cy", "Dan", "Eve", "Flo"]


@pytest.fixture(autouse=True, scope="module")
def _small_pages():
    with pytest.MonkeyPatch.context() as patch:
        for module in (finetuning, pixel_text, pipeline):
            patch.setattr(module, "fonts", lambda: (BUILT_IN,))
        patch.setattr(finetuning, "PAGE", Page(32, 128, 8))
        yield


def paragraph(number: int) -> dict:
    one, other = NAMES[number % 6], NAMES[(number * 7 + 1) % 6]
    context = f"{one} runs and {other} sits on day {number}."
    answer = {"text": one, "answer_start": 0}
    qas = [{"id": str(number), "question": "Who runs?", "answers": [answer]}]
    return {"context": context, "qas": qas}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name, numbers in (("train", range(48)), ("val", range(60, 72))):
        articles = {"data": [{"paragraphs": [paragraph(n) for n in numbers]}]}
        (folder / f"{name}.json").write_text(json.dumps(articles))
    return folder


def tokenizer(kind: str = "bpe") -> SubwordTokenizer:
    texts = [paragraph(n)["context"] for n in range(20)] * 2
    return SubwordTokenizer.train(texts, kind, 280, "bert" if kind == "wordpiece" else "roberta")


PASSAGE = "Ann runs and  Bob\nsits on day 1. And Cy and Dan sits on day 2 and runs on day 3 and Eve sits."


@pytest.mark.parametrize("limit", [14, 20, 60])
def test_windows_cover_the_passage_and_the_span_is_the_answer(limit) -> None:
    known = tokenizer("wordpiece")
    reader = QuestionWindows(Tokens(known, limit), None)
    begin = PASSAGE.index("Cy and Dan")
    row, lost = reader.prepare(Question("1", PASSAGE, "Who come?", ((begin, "Cy and Dan"),)))
    assert lost == 0
    assert sorted({n for first, last in row.windows for n in range(first, last)}) == [*range(len(row.ids))]
    assert row.holding
    batch = reader.batch([(row, place) for place in range(len(row.windows))], ())
    assert batch.texts.ids.shape[1] <= limit
    for place, (first, last) in enumerate(batch.targets.spans.tolist()):
        ids = batch.texts.ids[place, first : last + 1].tolist()
        assert (known.decode(ids) == "cy and dan") == (place in row.holding), place
        assert place in row.holding or (first, last) == (0, 0)


def test_the_answer_of_a_drawn_window_is_written_and_its_place_is_known() -> None:
    known, page = tokenizer(), Page(64, 256, 8)
    reader = QuestionWindows(Drawn(known, 40, page, (BUILT_IN,)), 30)
    begin = PASSAGE.index("Bob")
    row, _ = reader.prepare(Question("1", PASSAGE, "Who sits?", ((begin, "Bob\nsits"),)))
    assert len(row.windows) > 1
    assert reader.learnable(row)
    holding = row.holding[0]
    other = next(n for n in range(len(row.windows)) if n not in row.holding)
    batch = reader.batch([(row, holding), (row, other)], (1, 2))
    said, none = (
        known.decode(ids[keep].tolist()) for ids, keep in zip(batch.texts.ids, batch.texts.keep, strict=True)
    )
    assert (said, none) == ("Bob sits", "")
    boxes = batch.targets.boxes
    answer = int(batch.texts.keep[0].sum()) - 2
    assert not boxes[0, 1 : 1 + answer].isnan().any()
    assert boxes[1].isnan().all()
    left, top, right, bottom = boxes[0, 1].round().int().tolist()
    assert (batch.images.pixels[0, 0, top:bottom, left:right] < 128).any()
    assert top > page.letter * 2  # under the question
    assert not QuestionWindows(reader.given, 1).learnable(row)


def test_half_of_the_windows_that_are_trained_on_hold_the_answer() -> None:
    reader = QuestionWindows(Tokens(tokenizer("wordpiece"), 14), None)
    row, _ = reader.prepare(Question("1", PASSAGE, "Who runs?", ((0, "Ann"),)))
    generator = np.random.default_rng(0)
    held = [reader.choose(row, generator) in row.holding for _ in range(400)]
    assert 150 < sum(held) < 250
    without, _ = reader.prepare(Question("1", PASSAGE, "Who runs?", ()))
    assert {reader.choose(without, generator) for _ in range(200)} == {*range(len(row.windows))}


def test_an_empty_passage_is_named() -> None:
    with pytest.raises(UserError, match=r"passage of 'Who\?' is empty"):
        QuestionWindows(Tokens(tokenizer("wordpiece"), 14)).prepare(Question("1", " ", "Who?", ()))


def test_questions_are_answered_by_spans_of_tokens(data, tmp_path, ask) -> None:
    settings = [*SMALL, "train.steps=60"]
    found = train_model("answer_bert", data, tmp_path / "run", settings, device="cpu")
    record = load_checkpoint(tmp_path / "run").record
    assert record["validation"].keys() == {"exact", "exact_se", "f1", "f1_se"}
    assert record["data"]["val"] == 12
    assert found["f1"] > record["data"]["chance_f1"] + 0.4
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "random span" in card
    passage = "It rains. " * 40 + paragraph(70)["context"]
    status, (found,), _ = ask("answer", "Who runs?", "--passage", passage, "--model", tmp_path / "run")
    assert status == 0
    assert found["windows"] > 1
    assert found["answer"]
    assert passage[found["begin"] :].lower().startswith(found["answer"].lower())
    status, _, said = ask("answer", "Who runs?", "--model", tmp_path / "run")
    assert status == 2
    assert "--passage" in said


def test_drawn_questions_are_answered_from_a_reader_alike_on_every_run(data, tmp_path, ask) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(paragraph(n)["context"] for n in range(20)))
    settings = [*SMALL[:4], "system.vocab_size=300", "canvas=32,128", "train.batch_size=2", "train.steps=2"]
    settings += ["train.warmup_steps=1", "system.letters_weight=0"]  # fine-tuning has no use for that head
    train_model("vlp_mini", texts, tmp_path / "vlp", settings, device="cpu")
    model = str(tmp_path / "vlp")
    more = [*SMALL[4:], "train.steps=3", "system.drawn_tokens=16"]
    for name in "ab":
        train_model("answer_vlp", data, tmp_path / name, more, model=model, device="cpu")
    one, other = (load_checkpoint(tmp_path / name) for name in "ab")
    assert one.hash == other.hash
    assert one.record["data"]["start"] == load_checkpoint(model).hash
    assert one.record["data"]["windows"] > 1
    assert one.system.config.drawn_tokens == 16
    before = load_checkpoint(model).system.state_dict()
    assert {*before} == {*one.system.state_dict()}
    assert any(not torch.equal(t, before[n]) for n, t in one.system.state_dict().items())
    status, found, _ = ask("answer", "Who?", "Where?", "--passage", PASSAGE, "--model", tmp_path / "a")
    assert status == 0
    assert [one["begin"] for one in found] == [None, None]
    assert all(one["windows"] > 1 for one in found)


def test_a_model_abstains_where_the_training_has_questions_without_an_answer(data, tmp_path) -> None:
    articles = json.loads((data / "train.json").read_text())
    qas = articles["data"][0]["paragraphs"][0]["qas"]
    qas.append({"id": "x", "question": "Who sleeps?", "answers": [], "is_impossible": True})
    for name in ("train", "val"):
        (tmp_path / f"{name}.json").write_text(
            json.dumps(articles) if name == "train" else (data / "val.json").read_text()
        )
    train_model("answer_bert", tmp_path, tmp_path / "run", [*SMALL, "train.steps=2"], device="cpu")
    assert load_checkpoint(tmp_path / "run").system.config.abstains
