"""Qwen-VL folders are tuned on conversations with images; the adapter answers with its base."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

pytest.importorskip("transformers")

from showtell.checkpoint.tensors import load_tensors
from showtell.data.images.decode import load_image
from showtell.data.tokenizers.chat import parts_of
from showtell.datasets.conversations import read_divided
from showtell.errors import MissingError, UsageError
from showtell.hub.qwen_vl_system import load_tuned, qwen_base
from showtell.pipelines.image_chat import load_image_chat
from showtell.pipelines.merge_adapter import merge_adapter
from showtell.recipes.launch import train_model
from showtell.runs.instruction import conversation_input
from showtell.serve.served import load_served
from showtell.tasks.pen import Sampling
from support.interrupted import interrupted
from support.qwen import FAMILIES, qwen_folder

SETTINGS = [
    *("held_out=0", "rank=16", "alpha=32", "train.batch_size=6", "train.learning_rate=1e-2"),
    *("train.warmup_steps=5", "train.checkpoint_every=0"),
]


def documents(folder: Path) -> list[dict]:
    """Six documents that differ in their images alone."""
    draw, records = np.random.default_rng(0), []
    for number in range(6):
        pixels = draw.integers(0, 255, (84, 112, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"材料{number}.png")
        answer = json.dumps([{"文字材料类别": "身份证", "名称": f"公司{number}"}], ensure_ascii=False)
        asked = [
            {"role": "user", "content": "<image>提取信息"},
            {"role": "assistant", "content": answer},
            {"role": "user", "content": "确定吗"},
            {"role": "assistant", "content": "是"},
        ]
        records.append({"messages": asked, "images": [f"材料{number}.png"]})
    return records


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("资质")
    (folder / "data.json").write_text(json.dumps(documents(folder), ensure_ascii=False), "utf-8")
    return folder / "data.json"


def base_folder(folder: Path, family: str) -> Path:
    """A tiny model whose logits can be large: with the usual small embeddings, tied, they could not."""
    file = qwen_folder(folder, family) / "model.safetensors"
    tensors = load_tensors(file)
    (name,) = (name for name in tensors if name.endswith("embed_tokens.weight"))
    save_file({**tensors, name: tensors[name] * 4}, file, {"format": "pt"})
    return folder


def tune(data: Path, output: Path, base: Path, *settings: str, **options) -> None:
    train_model("tune", data, output, [*SETTINGS, *settings], model=str(base), device="cpu", **options)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_six_documents_are_memorised(family: str, data: Path, tmp_path: Path) -> None:
    base = base_folder(tmp_path / family, family)
    before = {file.name: file.read_bytes() for file in base.iterdir()}
    tune(data, tmp_path / "run", base, "train.steps=300")
    lines = map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < 0.05 * losses[0]
    assert {file.name: file.read_bytes() for file in base.iterdir()} == before
    model = load_image_chat(tmp_path / "run", "cpu")
    for number, one in enumerate(json.loads(data.read_text("utf-8"))):
        asked = [{"role": "user", "content": parts_of(one["messages"][0]["content"])}]
        image = load_image(data.parent / f"材料{number}.png")
        assert model.generate(asked, [image], Sampling(80)).completion == one["messages"][1]["content"]


def test_an_adapter_is_served_resumed_and_refused_on_another_base(data, tmp_path, monkeypatch) -> None:
    base = base_folder(tmp_path / "qwen", "qwen2_vl")
    short = ("train.steps=3", "train.checkpoint_every=2", "train.batch_size=2")
    tune(data, tmp_path / "whole", base, *short)
    with interrupted(monkeypatch, 2):
        tune(data, tmp_path / "cut", base, *short, "train.prefetch=1")
    tune(data, tmp_path / "cut", base, *short, resume=True)
    whole, cut = (load_tensors(tmp_path / name / "model/adapter.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    assert all(".language_model.layers." in name for name in whole)
    served = load_served(str(tmp_path / "whole"), "cpu")
    assert served.hash != load_served(str(base), "cpu").hash
    image = load_image(data.parent / "材料0.png")
    asked = [{"role": "user", "content": parts_of("<image>提取信息")}]
    assert served.generate(asked, [image], Sampling(5)).tokens <= 5
    merged = merge_adapter(tmp_path / "whole", tmp_path / "merged")
    assert merged["parameters"] == sum(p.numel() for p in qwen_base(base).system.parameters())
    before, after = (load_tuned(tmp_path / name).model.state_dict() for name in ("whole", "merged"))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert {file.name for file in base.iterdir()} == {file.name for file in (tmp_path / "merged").iterdir()}
    with pytest.raises(UsageError, match="exists; choose another folder"):
        merge_adapter(tmp_path / "whole", base)
    other = base_folder(tmp_path / "other", "qwen2_5_vl")
    file = tmp_path / "cut" / "model" / "adapter.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"base": str(other)}))
    with pytest.raises(MissingError, match="load it with its own base"):
        load_image_chat(tmp_path / "cut", "cpu")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_ids_and_the_loss_are_those_of_the_service_and_the_reference(family, data, tmp_path) -> None:
    base = qwen_base(base_folder(tmp_path / family, family))
    found, given = conversation_input(base, read_divided(data, None, 0), "base", "cpu")
    first, second = found.training[:2]
    row = given.encode(first)
    loaded = base.system.conversation_images.loaded
    asked = [{"role": "user", "content": parts_of(first.messages[0].content)}]
    prompt = loaded.read(asked, [load_image(first.images[0])])
    assert row.ids[: len(prompt.ids)] == prompt.ids
    assert row.answers.index(True) == len(prompt.ids)
    short = given.encode(replace(second, messages=second.messages[:2]))
    batch = given.batch([row, short])
    assert not batch.texts.keep.all()
    labels = batch.texts.ids.masked_fill(~batch.texts.answers, -100)
    with torch.no_grad():
        expected = loaded.model(
            input_ids=batch.texts.ids,
            attention_mask=batch.texts.keep.long(),
            mm_token_type_ids=(batch.texts.ids == base.system.conversation_images.image_id).long(),
            pixel_values=batch.images["patches"],
            image_grid_thw=batch.images["grids"],
            labels=labels,
        ).loss
        step = base.system(batch)
        alone = [base.system(given.batch([one])) for one in (row, short)]
    torch.testing.assert_close(step.losses["lm"], expected)
    sums = sum(one.losses["lm"] * one.counts["lm"] for one in alone)
    torch.testing.assert_close(step.losses["lm"], sums / step.counts["lm"])
    assert step.counts["lm"] == int(batch.texts.answers.sum())


def test_an_image_that_cannot_be_read_or_is_too_narrow_is_left_out(data, tmp_path, caplog) -> None:
    shutil.copytree(data.parent, tmp_path / "data")
    (tmp_path / "data" / "材料1.png").write_bytes(b"no image")
    Image.new("RGB", (1000, 2)).save(tmp_path / "data" / "材料2.png")
    base = qwen_base(base_folder(tmp_path / "qwen", "qwen2_vl"))
    with caplog.at_level("WARNING"):
        found, _ = conversation_input(
            base, read_divided(tmp_path / "data" / "data.json", None, 0), "base", "cpu"
        )
    assert len(found.training) == 4
    assert "2 conversations left out, whose images cannot be read" in caplog.text
