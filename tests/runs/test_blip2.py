"""Both stages of BLIP-2: the Q-Former learns, the image encoder and the language model stay as they were."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from showtell.checkpoint.frozen import hash_tensors
from showtell.checkpoint.load import load_checkpoint
from showtell.checkpoint.tensors import load_tensors
from showtell.cli.main import run
from showtell.datasets.vocabulary import PretrainedText
from showtell.errors import MissingError, UsageError
from showtell.hub.checkpoints import open_checkpoint
from showtell.hub.sources import frozen_tensors
from showtell.pipelines.import_model import import_model
from showtell.pipelines.model import load_model
from showtell.recipes.launch import train_model
from support.chat import TEMPLATE, llama_folder
from support.dual import captioned_squares

pytestmark = pytest.mark.slow
QUICK = ["train.batch_size=4", "train.warmup_steps=2", "train.learning_rate=0.005", "train.weight_decay=0"]
SIZES = ("num_queries=4", "width=24", "depth=2", "num_heads=2", "mlp_dim=48")
FIRST = [
    *(f"system.former.{size}" for size in SIZES),
    *("system.max_length=16", "system.shared_width=12", "vocabulary.max_length=16"),
]


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    return captioned_squares(tmp_path_factory.mktemp("squares"))


@pytest.fixture(scope="module")
def language(tmp_path_factory) -> Path:
    folder = llama_folder(tmp_path_factory.mktemp("llama") / "theirs", "chatml", TEMPLATE)
    return Path(import_model(str(folder), folder.parent / "ours")["model"])


@pytest.fixture(scope="module")
def first(images, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("first") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PretrainedText, "installed", False)
        settings = [*QUICK, *FIRST, "train.steps=20", "train.validate_every=10"]
        train_model("blip2_mini", images, output, settings, device="cpu")
    return output


@pytest.fixture(scope="module")
def second(images, language, first, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("second") / "run"
    settings = [*QUICK, f"vocabulary.source={language}", "train.steps=20", "train.validate_every=10"]
    train_model("blip2_caption_mini", images, output, settings, device="cpu", model=str(first))
    return output


def validations(output, figure):
    lines = map(json.loads, (output / "metrics.jsonl").read_text().splitlines())
    return [line["validation"][figure] for line in lines if "validation" in line]


def files_of(folder):
    return sorted(file for file in folder.rglob("*") if file.suffix in (".jpg", ".png"))


def test_the_first_stage_learns_all_three_and_describes_images(first, images):
    assert {"itc", "itm", "lm"} <= json.loads((first / "model" / "config.json").read_text())["record"][
        "validation"
    ].keys()
    assert validations(first, "lm")[-1] < validations(first, "lm")[0]
    model, files = load_model(first), files_of(images)[:4]
    assert len(model.caption(files)) == 4


def test_the_second_stage_begins_with_the_queries_of_the_first(first, images, language, tmp_path):
    settings = [*QUICK, f"vocabulary.source={language}", "train.steps=1", "train.learning_rate=1e-9"]
    train_model("blip2_caption_mini", images, tmp_path / "run", settings, device="cpu", model=str(first))
    begun = load_checkpoint(first / "model").system.former.state_dict()
    kept = load_checkpoint(tmp_path / "run" / "model", find_source=frozen_tensors).system
    assert kept.config.former.num_queries == 4
    for name, tensor in kept.former.state_dict().items():
        torch.testing.assert_close(tensor, begun[name], rtol=0, atol=1e-6)


def test_the_queries_parts_alone_are_written_and_the_language_model_is_as_it_was(second, language):
    written = load_tensors(second / "model" / "model.safetensors")
    assert {name.partition(".")[0] for name in written} == {"former", "project", "positions", "image"}
    assert {name for name in written if name.startswith("image.")} == {"image.norm.weight", "image.norm.bias"}
    config = json.loads((second / "model" / "config.json").read_text())
    before = hash_tensors(open_checkpoint(language).system.state_dict())
    assert [(part["prefix"], part["hash"]) for part in config["frozen"]] == [("language.", before)]
    loaded = load_checkpoint(second / "model", find_source=frozen_tensors).system
    assert hash_tensors(loaded.language.state_dict()) == before
    assert not any("language." in n for n in load_tensors(second / "state" / "state.safetensors"))


def test_captions_become_more_probable_in_the_second_stage_and_it_writes_them(second, images):
    losses = validations(second, "loss")
    assert losses[-1] < losses[0]
    assert len(load_model(second).caption(files_of(images)[:2])) == 2


def test_a_language_model_that_is_gone_is_named(second, images, tmp_path, capsys):
    config = json.loads((second / "model" / "config.json").read_text())
    copied = shutil.copytree(second / "model", tmp_path / "model")
    config["frozen"][0]["source"] = str(tmp_path / "opt-2.7b")
    (copied / "config.json").write_text(json.dumps(config))
    assert run(["caption", str(files_of(images)[0]), "--model", str(copied)]) == 4
    assert "opt-2.7b" in capsys.readouterr().err


def test_a_first_stage_without_a_q_former_is_refused(images, language, tmp_path):
    with pytest.raises(UsageError, match="is a Llama, which has no Q-Former"):
        train_model("blip2_caption_mini", images, tmp_path / "run", device="cpu", model=str(language))


def test_a_first_stage_over_another_backbone_is_refused(first, images, language, tmp_path):
    copied = shutil.copytree(first / "model", tmp_path / "model")
    said = json.loads((copied / "preprocess.json").read_text())
    (copied / "preprocess.json").write_text(json.dumps({**said, "hash": "0" * 64}))
    settings = [f"vocabulary.source={language}"]
    with pytest.raises(MissingError, match="another efficientnet_lite0"):
        train_model("blip2_caption_mini", images, tmp_path / "run", settings, device="cpu", model=str(copied))


def test_an_adapter_corrects_the_language_model_and_leaves_the_queries(second, images, tmp_path):
    asked = [{"role": "user", "content": "<image>what is it?"}, {"role": "assistant", "content": "a square"}]
    names = [Path(shutil.copy(file, tmp_path)).name for file in files_of(images)[:4]]
    rows = [{"messages": asked, "images": [name]} for name in names]
    (tmp_path / "data.json").write_text(json.dumps(rows))
    settings = ["held_out=0", "rank=2", "train.batch_size=4", "train.steps=2", "train.warmup_steps=1"]
    train_model("tune", tmp_path / "data.json", tmp_path / "run", settings, model=str(second), device="cpu")
    tuned = open_checkpoint(tmp_path / "run").system.state_dict()
    begun = open_checkpoint(second).system.state_dict()
    assert all(torch.equal(tuned[name], begun[name]) for name in begun if name.startswith(("former", "pos")))
    assert any(not torch.equal(tuned[name], begun[name]) for name in begun if name.startswith("language"))
