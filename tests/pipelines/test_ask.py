"""`showtell ask` by a model that writes its answers: BLIP, trained small, and imported."""

import json
import math
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from showtell.checkpoint.save import save_checkpoint
from showtell.cli.main import run
from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.data.qa.answers import soft_scores
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.caches import pixel_preprocess
from showtell.errors import UserError
from showtell.evaluation.evaluate import evaluate
from showtell.pairing import AnswerWriter
from showtell.pipelines.ask import ask
from showtell.pipelines.import_model import import_model
from showtell.pipelines.model import load_model
from showtell.systems.blip_finetuned import BLIPAnswererConfig
from showtell.systems.clip import TowerConfig
from support.dual import COLOURS

SIDE = 8
ASKED = ("what colour is it?", "is it red?")


def answer_to(question: str, colour: str) -> str:
    return f"dark {colour}" if question == ASKED[0] else "yes" if colour == "red" else "no"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    texts = [*ASKED, *(answer_to(question, colour) for question in ASKED for colour in COLOURS)]
    tokenizer = SubwordTokenizer.train(texts * 3, "wordpiece", 80, "bert")
    torch.manual_seed(0)
    sizes = {"width": 24, "depth": 1, "num_heads": 2, "mlp_dim": 48, "max_length": 12}
    tower = TowerConfig(24, 2, 48, 1, "gelu", 1e-6)
    system = (
        BLIPAnswererConfig(tower, image_size=SIDE, patch_size=4, **sizes).with_tokenizer(tokenizer).build()
    )
    optimiser = torch.optim.AdamW(system.parameters(), lr=0.005)
    pairs = [(question, colour) for colour in COLOURS for question in ASKED]
    ids, keep = pad([tokenizer.encode(question) for question, _ in pairs], tokenizer.pad)
    said, real = pad([tokenizer.encode(answer_to(*pair)) for pair in pairs], tokenizer.pad)
    pixels = torch.tensor([COLOURS[colour] for _, colour in pairs], dtype=torch.uint8)
    images = ImageBatch(pixels=pixels[..., None, None].expand(-1, -1, SIDE, SIDE))
    for _ in range(120):
        memory = system.prefill_questions(system.fuse(Batch(images, TextBatch(ids, keep))))
        logits = system.teacher_forced_logits(memory, torch.arange(len(pairs)), said, real)
        optimiser.zero_grad()
        F.cross_entropy(logits, said[:, 1:][real[:, 1:]]).backward()
        optimiser.step()
    out = tmp_path_factory.mktemp("blip") / "model"
    record, read = {"recipe": "blip_answers"}, pixel_preprocess(SIDE)
    save_checkpoint(out, system, record=record, tokenizer_json=tokenizer.to_json(), preprocess=read, card="")
    return out


@pytest.fixture(scope="module")
def squares(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("squares")
    for name, colour in COLOURS.items():
        Image.new("RGB", (20, 16), colour).save(out / f"{name}.png")
    return out


@pytest.mark.parametrize("question", ASKED)
def test_answers_are_written_and_right(question, folder, squares, capsys):
    files = [str(squares / f"{colour}.png") for colour in COLOURS]
    assert run(["ask", *files, question, "--model", str(folder), "--json", "--top", "3"]) == 0
    for line, colour in zip(capsys.readouterr().out.splitlines(), COLOURS, strict=True):
        found = json.loads(line)
        assert (found["question"], len(found["answers"])) == (question, 3)
        assert found["answers"][0]["answer"] == answer_to(question, colour)
        probabilities = [one["probability"] for one in found["answers"]]
        assert probabilities[0] > 0.9
        assert probabilities == sorted(probabilities, reverse=True)
        assert sum(probabilities) <= 1 + 1e-6


def test_a_probability_is_that_of_the_whole_answer(folder, squares):
    model = load_model(folder)
    assert isinstance(model.system, AnswerWriter)
    best = next(ask(squares / "red.png", ASKED[0], model, top=1)).answers[0]
    ids, keep = pad([model.tokenizer.encode(ASKED[0])])
    images = model.image_input.batch([model.read(squares / "red.png")])
    with torch.no_grad():
        fused = model.system.fuse(Batch(images.images, TextBatch(ids, keep)))
        said, real = pad([model.tokenizer.encode(best.answer)])
        memory = model.system.prefill_questions(fused)
        logits = model.system.teacher_forced_logits(memory, torch.tensor([0]), said, real)
    logits[:, model.tokenizer.never_generated(logits.shape[1])] = -torch.inf
    expected = logits.log_softmax(1).gather(1, said[0, 1:, None]).sum().item()
    assert math.log(best.probability) == pytest.approx(expected, abs=1e-4)


def test_a_long_question_is_cut_or_refused(folder, squares, caplog):
    long = "is it red? " * 9
    list(ask(squares / "red.png", long, load_model(folder)))
    assert "1 question" in caplog.text
    with pytest.raises(UserError, match="question"):
        list(ask(squares / "red.png", long, load_model(folder), strict=True))


def test_written_answers_are_evaluated(folder, squares, tmp_path):
    rows = [
        {"image": f"{colour}.png", "question": ASKED[0], "answer": f"The dark, {colour}!"}
        for colour in COLOURS
    ]
    rows.append({"image": "red.png", "question": ASKED[1], "answers": ["no", "no", "no", "yes"]})
    for colour in COLOURS:
        (tmp_path / f"{colour}.png").write_bytes((squares / f"{colour}.png").read_bytes())
    (tmp_path / "qa_val.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = evaluate(load_model(folder), tmp_path / "qa_val.jsonl", "val")
    assert (found["questions"], found["images"]) == (len(COLOURS) + 1, len(COLOURS))
    partly = dict(soft_scores(["no", "no", "no", "yes"]))["yes"]
    assert 0 < partly < 1
    assert found["accuracy"] == pytest.approx((len(COLOURS) + partly) / (len(COLOURS) + 1))


def test_an_imported_blip_is_asked(tmp_path, squares, capsys):
    transformers = pytest.importorskip("transformers")
    tokenizer = SubwordTokenizer.train(ASKED * 3, "wordpiece", 80, "bert")
    size = len(tokenizer)
    sizes = {"hidden_size": 12, "num_attention_heads": 3, "num_hidden_layers": 1, "intermediate_size": 20}
    text = {
        **sizes,
        "vocab_size": size + 2,
        "encoder_hidden_size": 12,
        "max_position_embeddings": 16,
        "bos_token_id": size,
        "sep_token_id": tokenizer.end,
        "pad_token_id": tokenizer.pad,
        "eos_token_id": tokenizer.end,
    }
    config = transformers.BlipConfig(
        vision_config={**sizes, "image_size": 16, "patch_size": 8}, text_config=text
    )
    transformers.BlipForQuestionAnswering(config).save_pretrained(tmp_path / "theirs")
    (tmp_path / "theirs" / "tokenizer.json").write_text(tokenizer.to_json())
    (tmp_path / "theirs" / "preprocessor_config.json").write_text(
        json.dumps({"image_processor_type": "BlipImageProcessor", "size": {"height": 16, "width": 16}})
    )
    import_model(str(tmp_path / "theirs"), tmp_path / "ours")
    assert run(["ask", str(squares / "red.png"), ASKED[0], "--model", str(tmp_path / "ours"), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["answers"]) == 5


def test_a_question_that_names_a_file_is_in_the_wrong_place(tmp_path, capsys) -> None:
    (tmp_path / "cat.jpg").touch()
    assert run(["ask", "what is it?", str(tmp_path / "cat.jpg"), "--model", "any"]) == 2
    assert "the question comes last" in capsys.readouterr().err
