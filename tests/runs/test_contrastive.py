"""Contrastive runs: coloured images with captions in, a system that finds one by the other out."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from showtell.checkpoint.load import load_checkpoint
from showtell.data.batch import Batch, ImageBatch
from showtell.data.captions.entry import Entry
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.caches import pixel_cache
from showtell.datasets.encoded_captions import Split, load_splits
from showtell.datasets.vocabulary import PretrainedText, SubwordVocabulary
from showtell.errors import MissingError, UsageError
from showtell.hub.catalogue import package_path
from showtell.hub.sources import recorded_tokenizer
from showtell.nn.cpu.packed import PackedLinear
from showtell.pipelines.model import load_model
from showtell.protocols import ImageEncoder, TextEncoder
from showtell.recipes import launch as training
from showtell.recipes.clip import clip_b32, clip_mini
from showtell.recipes.vse import vse
from showtell.runs.contrastive import embed_split
from support.dual import COLOURS, captioned_squares

QUICK = [
    "train.steps=300",
    "train.weight_decay=0",
    "train.warmup_steps=5",
    "train.batch_size=4",
    "train.learning_rate=0.005",
    "train.validate_every=0",
    "train.metric=text_to_image_recall1",
]


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    return captioned_squares(tmp_path_factory.mktemp("squares"))


@pytest.fixture
def without_packages(monkeypatch):
    monkeypatch.setattr(PretrainedText, "installed", False)


SMALL = {
    "clip_b32": [
        *("image.width=24", "image.num_heads=2", "image.mlp_dim=32", "image.depth=1", "text.width=16"),
        *("text.num_heads=2", "text.mlp_dim=32", "text.depth=1", "image_size=32", "patch_size=16"),
        *("max_length=16", "width=16"),
    ],
    "clip_mini": ["text.width=16", "text.num_heads=2", "text.mlp_dim=32", "text.depth=1", "width=16"],
    "vse": ["word_width=16", "width=32"],
    "siglip_mini": [
        *("image.width=24", "image.num_heads=2", "image.mlp_dim=32", "image.depth=1", "text.width=16"),
        *("text.num_heads=2", "text.mlp_dim=32", "text.depth=1", "image_size=32", "patch_size=16"),
        "max_length=16",
    ],
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "clip_mini" else pytest.mark.slow) for name in SMALL]
)
def test_a_run_pairs_colours_and_its_checkpoint_embeds(name, images, tmp_path, without_packages):
    small = [f"system.{setting}" for setting in SMALL[name]]
    small += ["vocabulary.min_count=1"] if name == "vse" else ["vocabulary.max_length=16"]
    small += ["train.batch_size=16"] if name == "siglip_mini" else []
    result = training.train_model(name, images, tmp_path / "run", [*QUICK, *small], device="cpu")
    assert result["steps"] == 300
    assert result["text_to_image_recall1"] == 1.0
    record = load_checkpoint(tmp_path / "run").record
    assert record["validation"]["image_to_text_recall1"] == 1.0
    assert (
        "| validation: a caption finds its image, R@1 | 1 |"
        in (tmp_path / "run" / "model" / "README.md").read_text()
    )
    model = load_model(tmp_path / "run", device="cpu")
    assert model.can(ImageEncoder)
    assert model.can(TextEncoder)
    shown = [model.read(images / "val" / f"{number}.png") for number in range(16, 20)]
    texts = model.text_vectors([f"a {colour} square" for colour in COLOURS])
    assert (texts @ model.encode(shown).pooled.T).argmax(1).tolist() == [0, 1, 2, 3]


def test_a_recall_among_one_image_is_told(images, tmp_path, without_packages, caplog):
    shutil.copytree(images, tmp_path / "data")
    listed = tmp_path / "data" / "val" / "metadata.jsonl"
    listed.write_text(listed.read_text().splitlines()[0])
    for unlisted in range(17, 20):
        (tmp_path / "data" / "val" / f"{unlisted}.png").unlink()
    small = [f"system.{setting}" for setting in SMALL["clip_mini"]] + ["vocabulary.max_length=16"]
    caplog.set_level("INFO")
    for data, told in ((tmp_path / "data", True), (images, False)):
        caplog.clear()
        training.train_model(
            "clip_mini", data, tmp_path / f"{told}", [*QUICK, *small, "train.steps=1"], device="cpu"
        )
        assert ("one validation image, which any model finds" in caplog.text) == told
        assert ("16 training and 1 validation image," in caplog.text) == told


def test_the_vectors_of_a_validation_are_those_of_the_model(images, tmp_path, without_packages):
    small = [f"system.{setting}" for setting in SMALL["clip_b32"]]
    settings = [*QUICK, "train.steps=2", *small, "vocabulary.max_length=16"]
    training.train_model("clip_b32", images, tmp_path / "run", settings, device="cpu")
    model = load_model(tmp_path / "run", device="cpu")
    assert any(isinstance(module, PackedLinear) for module in model.system.modules())
    paths = [images / "val" / f"{number}.png" for number in range(16, 20)]
    entries = [
        Entry(path, ("a red square", "this square is really blue"), split)
        for split in ("train", "val")
        for path in paths
    ]

    class Given:
        max_length = 16

        def learn(self, texts):
            return model.tokenizer

    _, splits = load_splits(entries, Given(), pixel_cache(32))
    images, texts, owner = embed_split(model.system, splits["val"])
    close = {"atol": 1e-5, "rtol": 1e-5}
    torch.testing.assert_close(images, model.encode([model.read(path) for path in paths]).pooled, **close)
    of_model = model.text_vectors(["a red square", "this square is really blue"])
    assert sorted(owner.tolist()) == [0, 0, 1, 1, 2, 2, 3, 3]
    torch.testing.assert_close(texts[owner == 2], of_model, **close)


def test_a_resumed_run_makes_the_same_parameters(images, tmp_path, monkeypatch, without_packages):
    small = [f"system.{setting}" for setting in SMALL["clip_mini"]] + [*QUICK, "vocabulary.max_length=16"]
    small += ["train.steps=10", "train.checkpoint_every=3", "train.chunk_size=2"]
    training.train_model("clip_mini", images, tmp_path / "whole", small, seed=3, device="cpu")
    pairs = Split.pairs

    def stopped(split, items, turn):
        if turn == 1:  # the second epoch begins at step 4
            raise KeyboardInterrupt
        return pairs(split, items, turn)

    with monkeypatch.context() as patch:
        patch.setattr(Split, "pairs", stopped)
        with pytest.raises(KeyboardInterrupt):
            training.train_model("clip_mini", images, tmp_path / "half", small, seed=3, device="cpu")
    longer = [*small, "train.steps=11"]
    with pytest.raises(UsageError, match=r"holds another run: train\.steps was 10 and is now 11; resume"):
        training.train_model("clip_mini", images, tmp_path / "half", longer, resume=True, device="cpu")
    with pytest.raises(UsageError, match=r"holds another run: train\.seed was 3 and is now 0"):
        training.train_model("clip_mini", images, tmp_path / "half", resume=True, seed=0, device="cpu")
    training.train_model("clip_mini", images, tmp_path / "half", resume=True, device="cpu")  # its settings
    a, b = (load_checkpoint(tmp_path / run).system.state_dict() for run in ("whole", "half"))
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_each_caption_is_read_once_in_as_many_epochs_as_an_image_has():
    cache = SimpleNamespace(images=lambda rows: ImageBatch(features=torch.tensor(rows)))
    split = Split(cache, [0, 1], [[[1], [2]], [[3], [4], [5]]], [])
    read = [split.pairs([0, 1], turn).texts.ids[:, 0].tolist() for turn in range(6)]
    assert [row[0] for row in read].count(1) == 3
    assert sorted(row[1] for row in read[:3]) == [3, 4, 5]
    assert split.pairs([1, 0], 0).texts.owner.tolist() == [0, 1]


def test_the_pretrained_text_tower_is_copied_exactly():
    try:
        package_path("all-MiniLM-L6-v2")
    except MissingError as error:
        pytest.skip(str(error))
    recipe = clip_mini(6000)
    assert isinstance(recipe.vocabulary, PretrainedText)
    tokenizer = recipe.vocabulary.learn([])
    torch.manual_seed(0)
    system = recipe.build(tokenizer).eval()
    given = recipe.vocabulary.encoder().eval()
    assert system.config.text == given.config
    assert system.rates["text."].scale < 1
    for name, tensor in given.state_dict().items():
        assert torch.equal(tensor, system.text.state_dict()[name]), name
    assert tokenizer.encode("A dog runs.") == [101, 1037, 3899, 3216, 1012, 102]


def test_a_frozen_text_tower_is_recorded_by_its_source_and_not_copied(images, tmp_path):
    try:
        package_path("all-MiniLM-L6-v2")
    except MissingError as error:
        pytest.skip(str(error))
    settings = [*QUICK, "train.steps=4", "system.width=16", "system.text_rate=0"]
    settings += ["system.standardise=true", "system.hidden_width=4", "weights=float16"]
    training.train_model("clip_mini", images, tmp_path / "run", settings, device="cpu")
    folder = tmp_path / "run" / "model"
    names = load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in names.values()} == {torch.float16}
    scales, projections = {"image_scale", "text_scale"}, {"project_image", "project_text"}
    assert {name.split(".")[0] for name in names} == {*scales, *projections, "log_logit_scale"}
    assert names["text_scale.mean"].abs().sum() > 0, "they were taken of the training captions"
    assert (folder / "tokenizer.json").read_text() == ""
    recorded = json.loads((folder / "preprocess.json").read_text())["tokenizer"]
    expected = recorded_tokenizer("all-MiniLM-L6-v2", PretrainedText().given.tokenizer_json)
    assert recorded == expected, "of the package's own text, which is what a loaded model compares"
    (frozen,) = json.loads((folder / "config.json").read_text())["frozen"]
    assert (frozen["prefix"], frozen["source"]) == ("text.", "all-MiniLM-L6-v2")
    assert "frozen and no part of this checkpoint: all-MiniLM-L6-v2" in (folder / "README.md").read_text()
    model = load_model(tmp_path / "run", device="cpu")
    assert model.tokenizer.encode("A dog runs.") == [101, 1037, 3899, 3216, 1012, 102]
    given = PretrainedText().encoder().eval()
    for name, tensor in given.state_dict().items():
        assert torch.equal(tensor, model.system.state_dict()[f"text.{name}"]), name
    training.train_model("clip_mini", images, tmp_path / "run", settings, resume=True, device="cpu")
    config = json.loads((folder / "config.json").read_text())
    config["frozen"][0]["hash"] = "0" * 64
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(MissingError, match="all-MiniLM-L6-v2"):
        load_model(tmp_path / "run", device="cpu")


def test_captions_come_in_other_languages_too(images, caplog):
    try:
        package_path("all-MiniLM-L6-v2")
    except MissingError as error:
        pytest.skip(str(error))
    recipe = clip_mini(6000)
    frozen = replace(recipe.system, text_rate=0.0, width=16)
    job = replace(recipe, system=frozen, languages=("de", "fr")).prepare(recipe.read(images), "cpu")
    batch = job.load_batch(3)
    owner, features = batch.texts.owner.tolist(), batch.texts.features
    assert owner == [*range(len(batch)), *range(len(batch))], "each image has one more caption"
    tokenizer, first = PretrainedText().learn([]), batch.texts.ids[batch.texts.keep[:, 0]]
    said = [tokenizer.decode(row[real].tolist()) for row, real in zip(first, batch.texts.keep, strict=True)]
    assert all("square" in text for text in said[: len(batch)])
    others = said[len(batch) :]
    assert any("ein" in text for text in others)
    assert any("un" in text for text in others)
    with torch.inference_mode():
        own = job.system.eval().text.encode_texts(Batch(texts=replace(batch.texts, features=None)))
    assert torch.allclose(own.pooled, features, atol=2e-3), "vectors are those of the same texts, in float16"
    assert torch.equal(job.load_batch(3).texts.ids, batch.texts.ids), "a batch depends on its number alone"
    replace(recipe, system=frozen, vocabulary=PretrainedText(max_length=5), languages=("de",)).prepare(
        recipe.read(images), "cpu"
    )
    assert "word-by-word translations cut to the 5 tokens" in caplog.text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["languages=xx"], "no lexicon for xx; languages may be zh, de, fr"),
        (["translated=2"], "translated is 2.0; give a share between 0 and 1"),
    ],
)
def test_a_language_without_a_lexicon_is_named(settings, message, images, tmp_path):
    with pytest.raises(UsageError, match=message):
        training.train_model("default_search", images, tmp_path / "run", settings, device="cpu")
    with pytest.raises(UsageError, match="need a pretrained vocabulary"):
        training.train_model("vse", images, tmp_path / "run", ["languages=zh"], device="cpu")


def test_an_untrained_text_tower_cannot_be_frozen(images, tmp_path, without_packages):
    with pytest.raises(UsageError, match="frozen, but not pretrained"):
        training.train_model("clip_mini", images, tmp_path / "run", ["system.text_rate=0"], device="cpu")


def test_without_the_package_a_small_tower_is_trained_from_scratch(without_packages):
    recipe = clip_mini(6000)
    assert isinstance(recipe.vocabulary, SubwordVocabulary)
    assert recipe.system.text_rate == 1


def test_pieces_are_learned_with_the_papers_special_tokens():
    tokenizer = SubwordVocabulary(vocab_size=600).learn(["a dog runs", "a cat sits"])
    assert isinstance(tokenizer, SubwordTokenizer)
    assert tokenizer.family == "clip"
    ids = tokenizer.encode("a dog", 77)
    assert (ids[0], ids[-1]) == (tokenizer.start, tokenizer.end)


def test_the_papers_numbers_are_the_defaults():
    paper = clip_b32(400_000_000).train
    assert (paper.steps, paper.batch_size, paper.warmup_steps) == (390_625, 32_768, 2000)
    assert (paper.learning_rate, paper.betas, paper.weight_decay) == (5e-4, (0.9, 0.98), 0.2)


def test_vse_keeps_what_finds_best_and_begins_with_all_negatives():
    few = vse(6000)
    assert (few.train.steps, few.train.batch_size, few.system.warmup_updates) == (13 * 235, 128, 6 * 235)
    assert few.train.learning_rate == 5e-4
    assert few.train.metric == "text_to_image_recall10"
    assert few.train.higher_is_better


def test_an_unknown_setting_is_named(images, tmp_path):
    with pytest.raises(UsageError, match=r"did you mean system\.margin"):
        training.train_model("vse", images, tmp_path, ["system.margn=1"])
