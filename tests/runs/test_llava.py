"""A captioning run over a pretrained language model: the projector learns, the rest is not copied."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from showtell.checkpoint.frozen import hash_tensors
from showtell.checkpoint.load import load_checkpoint
from showtell.checkpoint.save import save_checkpoint
from showtell.checkpoint.tensors import load_tensors
from showtell.cli.main import run
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.pretrained_language import PretrainedLanguage
from showtell.errors import MissingError, UsageError
from showtell.hub.checkpoints import open_checkpoint
from showtell.hub.sources import frozen_tensors
from showtell.pipelines.import_model import import_model
from showtell.pipelines.model import load_model
from showtell.recipes.launch import train_model
from showtell.systems.bert import BERTConfig
from showtell.systems.gpt import GPTConfig
from showtell.systems.llava import LLaVAConfig
from showtell.systems.show_and_tell import ShowAndTellConfig
from support.chat import TEMPLATE, llama_folder
from support.tiny import tiny

COLOURS = {"red": (220, 30, 30), "green": (30, 190, 60), "blue": (30, 60, 220), "yellow": (230, 220, 40)}
SETTINGS = ["train.steps=30", "train.warmup_steps=2", "train.learning_rate=0.02", "train.validate_every=15"]


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("squares")
    for number in range(16):
        name, colour = list(COLOURS.items())[number % 4]
        file = folder / ("val" if number >= 12 else "train") / f"{number}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((64, 64, 3), colour, np.uint8)).save(file)
        file.with_suffix(".txt").write_text(f"a {name} square\nthis square is {name}")
    return folder


@pytest.fixture(scope="module")
def language(tmp_path_factory) -> Path:
    texts = [f"a {name} square this square is {name}" for name in COLOURS] * 3
    folder = llama_folder(tmp_path_factory.mktemp("llama") / "theirs", "chatml", TEMPLATE, texts=texts)
    return Path(import_model(str(folder), folder.parent / "ours")["model"])


@pytest.fixture(scope="module")
def trained(images, language, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("run") / "llava"
    train_model("llava_mini", images, output, [f"vocabulary.source={language}", *SETTINGS], device="cpu")
    return output


def validations(output):
    lines = map(json.loads, (output / "metrics.jsonl").read_text().splitlines())
    return [line["validation"]["loss"] for line in lines if "validation" in line]


def test_captions_become_more_probable(trained):
    losses = validations(trained)
    assert losses[-1] < losses[0]


def test_only_the_projector_is_written_and_the_language_model_is_as_it_was(trained, language):
    written = load_tensors(trained / "model" / "model.safetensors")
    assert {name.partition(".")[0] for name in written} == {"project"}
    frozen = json.loads((trained / "model" / "config.json").read_text())["frozen"]
    before = hash_tensors(open_checkpoint(language).system.state_dict())
    assert [(part["prefix"], part["hash"]) for part in frozen] == [("language.", before)]
    loaded = load_checkpoint(trained / "model", find_source=frozen_tensors).system
    assert hash_tensors(loaded.language.state_dict()) == before
    assert not any("language." in name for name in load_tensors(trained / "state" / "state.safetensors"))


def test_it_captions_images_and_reads_texts_between_start_and_end(trained, images):
    model = load_model(trained)
    captions = model.caption(sorted((images / "val").glob("*.png")))
    assert len(captions) == 4
    tokenizer = model.tokenizer
    assert isinstance(tokenizer, SubwordTokenizer)
    ids = tokenizer.encode("a red square")
    assert (ids[0], ids[-1]) == (tokenizer.start, tokenizer.end)
    assert tokenizer.decode(ids) == "a red square"
    assert tokenizer.chat_template == TEMPLATE


def test_a_language_model_that_is_gone_is_named(trained, tmp_path, capsys):
    copied = shutil.copytree(trained / "model", tmp_path / "model")
    config = json.loads((copied / "config.json").read_text())
    config["frozen"][0]["source"] = str(tmp_path / "vicuna-7b")
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(MissingError, match="vicuna-7b"):
        load_model(copied)
    assert run(["caption", str(tmp_path), "--model", str(copied)]) == 4
    assert "vicuna-7b" in capsys.readouterr().err


def test_a_language_model_that_learns_too_is_written(images, language, tmp_path):
    settings = [f"vocabulary.source={language}", "train.steps=2", "system.train_language=true"]
    train_model("llava_mini", images, tmp_path / "run", settings, device="cpu")
    written = load_tensors(tmp_path / "run" / "model" / "model.safetensors")
    assert any(name.startswith("language.") for name in written)
    before = open_checkpoint(language).system.state_dict()
    assert not torch.equal(written["language.embed.weight"], before["embed.weight"])


def test_a_system_that_takes_no_such_model_is_refused(language, tmp_path):
    with pytest.raises(UsageError, match="ShowAndTellConfig has no language model"):
        PretrainedLanguage(str(language)).under(ShowAndTellConfig())
    _with_tokenizer_of(language, BERTConfig(300, 8, 1, 2, 8), tmp_path / "bert")
    with pytest.raises(UsageError, match="bert is a BERT, and LLaVAConfig takes a Llama or GPT"):
        PretrainedLanguage(str(tmp_path / "bert")).under(LLaVAConfig())


def test_a_language_model_that_is_not_here_is_named_with_what_makes_it(tmp_path, capsys):
    for recipe, what in (("llava_base", "clip-vit-large-patch14-336"), ("llava_mini", "vicuna-7b")):
        own = ["--set", "vocabulary.source=vicuna-7b"] if recipe == "llava_mini" else []
        assert run(["train", recipe, "--data", str(tmp_path), "--output", str(tmp_path / "run"), *own]) == 4
        said = capsys.readouterr().err
        assert what in said
        assert "showtell import" in said


def test_a_gpt_is_taken_as_well(language, tmp_path):
    _with_tokenizer_of(language, GPTConfig(300, 8, 1, 2, 8), tmp_path / "gpt")
    given = PretrainedLanguage(str(tmp_path / "gpt"))
    system, frozen = given.under(tiny(LLaVAConfig()))
    own, theirs = system.language.state_dict(), given.given.system.state_dict()
    assert own.keys() == theirs.keys()
    assert all(torch.equal(own[name], tensor) for name, tensor in theirs.items())
    save_checkpoint(
        *(tmp_path / "llava", system), record={}, tokenizer_json="", preprocess={}, card="", frozen=frozen
    )
    assert load_checkpoint(tmp_path / "llava", find_source=frozen_tensors).system.config == system.config
    adapted = [name for name, _ in system.named_modules() if name.startswith(system.lora)]
    assert "language.transformer.blocks.0.attention.qkv" in adapted


def _with_tokenizer_of(language, config, folder):
    """The untrained system of a config with the tokenizer of another model."""
    checkpoint = load_checkpoint(language)
    save_checkpoint(
        folder,
        config.build(),
        record={},
        tokenizer_json=checkpoint.tokenizer_json,
        preprocess=checkpoint.preprocess,
        card="",
    )
