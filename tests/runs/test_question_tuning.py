"""A LLaVA tuned on questions about images: it is asked, evaluated, and chats as before."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from showtell.cli.main import run
from showtell.datasets.conversations import read_divided
from showtell.datasets.question_conversations import SHORTLY
from showtell.errors import UsageError
from showtell.evaluation.evaluate import evaluate
from showtell.hub.checkpoints import open_checkpoint
from showtell.pipelines.ask import ask, written_answers
from showtell.pipelines.model import load_model
from showtell.recipes.launch import train_model
from showtell.runs.instruction import conversation_input
from support.dual import COLOURS
from support.llava import llava_folder

ASKED = ("what colour is it?", "is it red?")
SETTINGS = [
    *("held_out=0", "rank=8", "alpha=16", "train.batch_size=6", "train.learning_rate=2e-2"),
    *("train.warmup_steps=5", "train.steps=40", "train.checkpoint_every=40"),
]


def answer_to(question: str, colour: str) -> str:
    return colour if question == ASKED[0] else "yes" if colour == "red" else "no"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("questions")
    rows = []
    for colour, values in COLOURS.items():
        Image.new("RGB", (20, 16), values).save(folder / f"{colour}.png")
        rows += [
            {"image": f"{colour}.png", "question": question, "answer": answer_to(question, colour)}
            for question in ASKED
        ]
    for split in ("train", "test"):
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    texts = [" ".join([*ASKED, SHORTLY, "yes no", *COLOURS])] * 3
    return llava_folder(tmp_path_factory.mktemp("base") / "llava", texts)


@pytest.fixture(scope="module")
def tuned(base, data, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("run") / "tuned"
    train_model("tune", data, output, SETTINGS, model=str(base), device="cpu")
    return output


@pytest.mark.parametrize("question", ASKED)
def test_it_answers_the_questions_of_its_training(question, tuned, data, capsys):
    files = [str(data / f"{colour}.png") for colour in COLOURS]
    assert run(["ask", *files, question, "--model", str(tuned), "--json", "--top", "2"]) == 0
    for line, colour in zip(capsys.readouterr().out.splitlines(), COLOURS, strict=True):
        found = json.loads(line)["answers"]
        assert found[0]["answer"] == answer_to(question, colour)
        assert 0.5 < found[0]["probability"] <= 1
        assert found[1]["probability"] <= found[0]["probability"]


def test_it_is_evaluated_on_questions(tuned, base, data):
    found = evaluate(load_model(tuned, "cpu"), data, "test")
    assert (found["accuracy"], found["questions"], found["cut"]) == (1.0, 2 * len(COLOURS), 0)
    assert evaluate(load_model(base, "cpu"), data, "test")["accuracy"] < 0.5


def test_questions_together_are_answered_as_alone(tuned, data):
    model = load_model(tuned, "cpu")
    pixels = [model.read(data / "red.png")]
    asked = [*ASKED, "red?", ASKED[0]]
    together = written_answers(model, pixels, asked, None, 3)
    for question, found in zip(asked, together, strict=True):
        alone = next(ask(data / "red.png", question, model, top=3)).answers
        assert [one.answer for one in found] == [one.answer for one in alone]
        torch.testing.assert_close(
            torch.tensor([one.probability for one in found]),
            torch.tensor([one.probability for one in alone]),
            rtol=1e-3,
            atol=1e-6,
        )


def test_the_loss_is_of_the_answers_alone_and_the_projector_is_corrected(tuned, base, data):
    opened = open_checkpoint(base)
    found, given = conversation_input(opened, read_divided(data, None, 0), "base", "cpu")
    row = given.encode(found.training[0])
    answer = [i for i, marked in zip(row.ids, row.answers, strict=True) if marked]
    assert given.tokenizer.decode(answer[:-1]) == answer_to(ASKED[0], "red")
    assert answer[-1] == given.tokenizer.end
    said = json.loads((tuned / "model" / "adapter.json").read_text())["layers"]
    assert {"project.first", "project.second"} < set(said)
    assert any(layer.startswith("language.blocks.") for layer in said)


def test_captions_are_evaluated_without_a_retrieval(base, data, tmp_path):
    for colour in COLOURS:
        (tmp_path / f"{colour}.png").write_bytes((data / f"{colour}.png").read_bytes())
        (tmp_path / f"{colour}.txt").write_text(f"a {colour} square")
    figures = evaluate(load_model(base, "cpu"), tmp_path, "train", queries=2)
    assert {"captions", "perplexity", "search"} <= figures.keys()
    assert "retrieval" not in figures
    assert "dot" not in figures["search"]


def test_questions_about_texts_are_refused(base, tmp_path):
    row = {"premise": "a", "hypothesis": "b", "label": "entailment"}
    (tmp_path / "train.jsonl").write_text(json.dumps(row))
    with pytest.raises(UsageError, match="not questions about images"):
        read_divided(tmp_path, None, 0)


def test_questions_about_an_image_share_its_prompt_and_learn_the_same(base, data):
    opened = open_checkpoint(base)
    found, given = conversation_input(opened, read_divided(data, None, 0), "base", "cpu")
    rows = [given.encode(one) for one in found.training]
    batch = given.batch(rows)
    assert found.num_training == len(batch.prompts) == len(batch.images) == len(COLOURS)
    assert len(batch.texts) == len(ASKED) * len(COLOURS)
    assert not (batch.texts.ids == given.shown.image_id).any()
    system = opened.system.train()

    def learned(batches) -> tuple[int, torch.Tensor, list[torch.Tensor]]:
        system.zero_grad()
        steps = [system(one) for one in batches]
        tokens = sum(int(step.counts["lm"]) for step in steps)
        loss = sum(step.losses["lm"] * int(step.counts["lm"]) for step in steps) / tokens
        loss.backward()
        return tokens, loss.detach(), [p.grad.clone() for p in system.parameters() if p.grad is not None]

    together, alone = learned([batch]), learned([given.batch([row]) for row in rows])
    assert together[0] == alone[0]
    torch.testing.assert_close(together[1:], alone[1:], rtol=1e-4, atol=1e-6)


def test_what_differs_before_its_image_shares_no_prompt(base, data):
    opened = open_checkpoint(base)
    found, given = conversation_input(opened, read_divided(data, None, 0), "base", "cpu")
    first, second = (given.encode(one) for one in found.training[:2])
    assert first.images == second.images
    image = given.shown.image_id
    moved = second._replace(ids=[5, *second.ids], answers=[False, *second.answers])
    assert not len(given.batch([first, moved]).prompts)
    at_once = [row._replace(answers=[i != image for i in row.ids]) for row in (first, second)]
    assert not len(given.batch(at_once).prompts)
