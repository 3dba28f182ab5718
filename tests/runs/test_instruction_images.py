"""Conversations that show images, through the run that tunes a language model."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from showtell.checkpoint.load import load_checkpoint
from showtell.checkpoint.tensors import load_tensors, named_tensors
from showtell.datasets.conversations import read_divided
from showtell.hub.checkpoints import open_checkpoint
from showtell.recipes.launch import train_model
from showtell.runs.instruction import answering_tokenizer, conversation_input
from support.interrupted import interrupted
from support.llava import llava_folder

SETTINGS = [
    *("held_out=0", "rank=8", "alpha=16", "train.batch_size=6", "train.learning_rate=1e-2"),
    *("train.warmup_steps=5", "train.checkpoint_every=20"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Six documents that differ in their images alone, and a seventh conversation without one."""
    folder, draw, records = tmp_path_factory.mktemp("资质"), np.random.default_rng(0), []
    for number in range(6):
        Image.fromarray(draw.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(folder / f"材料{number}.png")
        answer = json.dumps([{"文字材料类别": "营业执照", "名称": f"公司{number}"}], ensure_ascii=False)
        asked = [
            {"role": "user", "content": "<image>提取信息"},
            {"role": "assistant", "content": answer},
            {"role": "user", "content": "确定吗"},
            {"role": "assistant", "content": "是"},
        ]
        records.append({"messages": asked, "images": [f"材料{number}.png"]})
    greeted = [{"role": "user", "content": "你好"}, {"role": "assistant", "content": "你好"}]
    records.append({"messages": greeted})
    (folder / "data.json").write_text(json.dumps(records, ensure_ascii=False), "utf-8")
    return folder / "data.json"


@pytest.fixture(scope="module")
def base(data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "llava"
    return llava_folder(folder, [data.read_text("utf-8")])


@torch.no_grad()
def right(folder: Path, data: Path) -> list[bool]:
    """Whether each conversation's answers are exactly what a model would write, greedily."""
    opened = open_checkpoint(folder)
    found, given = conversation_input(opened, read_divided(data, None, 0), "base", "cpu")
    exact = []
    for one in found.training:
        row = given.encode(one)
        batch = given.batch([row])
        seen = opened.system.encode_images(batch) if row.images else None
        texts, empty = batch.texts, opened.system.empty_cache(1)
        if seen is None:
            tokens, _ = opened.system.extend(empty, texts.ids, texts.keep)
        else:
            tokens, _ = opened.system.extend_seen(empty, texts.ids, texts.keep, seen)
        written = opened.system.next_token_logits(tokens)[0, :-1].argmax(-1)
        where = texts.answers[0, 1:]
        exact.append(torch.equal(written[where], texts.ids[0, 1:][where]))
    return exact


def test_documents_that_differ_in_their_images_alone_are_memorised(base, data, tmp_path) -> None:
    before = named_tensors(load_checkpoint(base).system)
    train_model("tune", data, tmp_path / "run", [*SETTINGS, "train.steps=100"], model=str(base), device="cpu")
    lines = map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < 0.05 * losses[0]
    assert right(tmp_path / "run", data) == [True] * 7
    assert not any(right(base, data))
    after = named_tensors(load_checkpoint(base).system)
    assert all(torch.equal(before[name], after[name]) for name in before)


def short(data: Path, output: Path, base: Path, *settings: str, **options) -> dict:
    return train_model(
        *("tune", data, output, [*SETTINGS, "train.steps=4", "train.checkpoint_every=2", *settings]),
        model=str(base),
        device="cpu",
        **options,
    )


def test_a_resumed_run_equals_an_uninterrupted_one(base, data, tmp_path, monkeypatch) -> None:
    few = "train.batch_size=2"
    short(data, tmp_path / "whole", base, few)
    with interrupted(monkeypatch, 3):
        short(data, tmp_path / "cut", base, few, "train.prefetch=1")
    short(data, tmp_path / "cut", base, few, resume=True)
    whole, cut = (load_tensors(tmp_path / name / "model/adapter.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


def test_texts_alone_give_the_loss_of_the_language_model(base, data) -> None:
    opened = load_checkpoint(base)
    found, given = conversation_input(opened, read_divided(data, None, 0), "base", "cpu")
    batch = given.batch([given.encode(found.training[-1])])
    assert len(batch.images) == 0
    torch.testing.assert_close(opened.system(batch).losses["lm"], opened.system.language(batch).losses["lm"])


def test_each_image_takes_its_tokens_and_is_never_cut(base, data, tmp_path, caplog) -> None:
    opened = load_checkpoint(base)
    found, given = conversation_input(opened, read_divided(data, None, 0), "base", "cpu")
    rows = [given.encode(one) for one in found.training]
    tokens = opened.system.encode_images(given.batch(rows[:1])).tokens.shape[1]
    assert tokens == given.shown.count == 16
    assert [row.ids.count(opened.system.image_id) for row in rows] == [tokens] * 6 + [0]
    assert all(len(row.ids) == len(row.answers) for row in rows)
    limit = len(rows[0].ids) - 1
    with caplog.at_level("WARNING"):
        assert short(data, tmp_path / "run", base, f"max_length={limit}")["left_out"] == 6
    assert "record 1 of data.json (line 1), is longer by 1 token" in caplog.text


def test_conversations_with_an_image_that_cannot_be_read_are_left_out(base, data, tmp_path, caplog) -> None:
    shutil.copytree(data.parent, tmp_path / "data")
    (tmp_path / "data" / "材料2.png").write_bytes(b"no image")
    with caplog.at_level("WARNING"):
        short(tmp_path / "data" / "data.json", tmp_path / "run", base)
    assert "1 image skipped, the first: " in caplog.text
    assert "1 conversation left out, whose images cannot be read" in caplog.text
    record = json.loads((tmp_path / "run" / "model" / "adapter.json").read_text())["record"]
    assert record["data"]["train"] == 6


def test_an_image_is_one_id_where_the_message_shows_it(base) -> None:
    tokenizer = answering_tokenizer(load_checkpoint(base), "base")
    asked = [{"role": "user", "content": "a <image> b <image>"}, {"role": "assistant", "content": "c"}]
    ids, answers = tokenizer.encode_answers(asked, 299)
    assert ids.count(299) == 2
    without = [{**asked[0], "content": "a "}, asked[1]]
    first = tokenizer.encode_answers(without)[0]
    assert ids[: ids.index(299)] == first[: ids.index(299)]
    assert tokenizer.encode_chat(asked[:1], 299) == ids[: answers.index(True)]
    assert 299 not in tokenizer.encode_chat(asked[:1])
