"""A captioning run: coloured images with captions in, a captioner that names colours out."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from showtell.checkpoint.load import load_checkpoint
from showtell.data.captions.entry import Entry
from showtell.data.captions.read import read_captions
from showtell.datasets.captions import CaptionData, divide
from showtell.errors import UsageError, UserError
from showtell.evaluation.evaluate import evaluate
from showtell.evaluation.word_figures import neighbour_figures, relation_figures
from showtell.pipelines.model import load_model
from showtell.protocols import Encoded
from showtell.recipes import launch as training
from showtell.recipes.show_and_tell import show_and_tell
from showtell.recipes.show_attend_and_tell import show_attend_and_tell

COLOURS = {"red": (220, 30, 30), "green": (30, 190, 60), "blue": (30, 60, 220), "yellow": (230, 220, 40)}


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Noisy squares of four colours, in the imagefolder convention with splits."""
    folder = tmp_path_factory.mktemp("squares")
    rng = np.random.default_rng(0)
    rows = []
    for number in range(40):
        name, colour = list(COLOURS.items())[number % 4]
        split = "val" if number >= 32 else "train"
        (folder / split).mkdir(exist_ok=True)
        pixels = np.clip(np.array(colour) + rng.integers(-25, 25, (96, 80, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / split / f"{number}.png")
        captions = [f"a {name} square", f"this square is {name}"]
        if split == "val":
            captions.append("an ineffable thing")
        rows.append((split, {"file_name": f"{number}.png", "captions": captions}))
    for split in ("train", "val"):
        lines = [json.dumps(row) for s, row in rows if s == split]
        (folder / split / "metadata.jsonl").write_text("\n".join(lines))
    return folder


SETTINGS = ["train.steps=60", "train.warmup_steps=5", "train.learning_rate=0.01", "train.validate_every=30"]


@pytest.fixture(scope="module")
def trained(images, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("run") / "attend"
    small = ["system.width=64", "system.token_width=32", "system.word_width=32", "vocabulary.min_count=1"]
    result = training.train_model(
        "show_attend_and_tell", images, output, [*SETTINGS, *small, "train.ema=0"], device="cpu"
    )
    assert result["steps"] == 60
    return output / "model"


def test_it_names_the_colours_of_unseen_images(trained, images):
    figures = evaluate(load_model(trained), images, "val", engines=("likelihood", "captions"))
    assert figures["images"] == 8
    assert figures["captions"]["bleu1"] > 0.9
    # Two images have each colour, so the own one is first or second.
    assert figures["search"]["likelihood"]["recall5"] == 1.0
    assert figures["search"]["likelihood"]["median_rank"] <= 2
    assert figures["search"]["captions"]["median_rank"] <= 2


def test_the_system_reads_only_what_is_on_its_device(trained, images, monkeypatch):
    model = load_model(trained)
    move, prefill = Encoded.to, model.system.prefill
    moved = []

    def noted(encoded, device):
        result = move(encoded, device)
        if device == model.device:
            moved.append(result)
        return result

    def checked(encoded):
        assert any(encoded is one for one in moved)
        return prefill(encoded)

    monkeypatch.setattr(Encoded, "to", noted)
    monkeypatch.setattr(model.system, "prefill", checked)
    evaluate(model, images, "val", engines=("likelihood",), queries=2, beam=1)
    assert len(moved) >= 3


def test_a_wrong_words_folder_is_found_before_the_data_is_read(trained, tmp_path):
    with pytest.raises(UserError, match="neither questions-words"):
        evaluate(load_model(trained), tmp_path / "nowhere", words=tmp_path)
    (tmp_path / "questions-words.txt").write_text("one two three\n")
    with pytest.raises(UserError, match="line 1"):
        evaluate(load_model(trained), tmp_path / "nowhere", words=tmp_path)


def test_word_tests_are_scored_past_bytes_that_are_not_utf8(trained, images, tmp_path):
    (tmp_path / "wordsim353.tsv").write_bytes(b"red\tgreen\t7\nred\tsquare\t2\ncaf\xe9\ttea\t5\n")
    figures = evaluate(load_model(trained), images, engines=(), words=tmp_path, beam=1)
    assert (figures["words"]["wordsim353"]["covered"], figures["words"]["wordsim353"]["total"]) == (2, 3)


def test_everyday_words_are_measured_without_any_file(trained, images):
    figures = evaluate(load_model(trained), images, engines=(), beam=1)
    # The other queried words are not in its vocabulary.
    assert figures["neighbours"] == {"red": figures["neighbours"]["red"]}
    assert set(figures["neighbours"]["red"]) == {"green", "blue", "yellow"}
    assert figures["relations"] == {}


def test_the_shipped_model_knows_its_neighbours_and_relations():
    model = load_model()
    neighbours = neighbour_figures(model)
    assert list(neighbours) == ["boy", "two", "red"]
    assert all(neighbours.values())
    relations = relation_figures(model)
    assert [len(best) for best in relations.values()] == [5, 5, 5]
    assert "women" in relations["man men woman"]


def test_words_of_the_validation_split_stay_unknown(trained):
    tokenizer = load_model(trained).tokenizer
    assert tokenizer.id_of("square") is not None
    assert tokenizer.id_of("ineffable") is None


def test_the_checkpoint_says_what_made_it(trained):
    record = load_checkpoint(trained).record
    assert record["recipe"] == "show_attend_and_tell"
    assert record["data"]["train"] == 32
    assert record["settings"]["train"]["steps"] == 60
    assert "EfficientNet-Lite2" in (trained / "README.md").read_text()


def test_the_same_seed_makes_the_same_parameters(images, tmp_path):
    small = ["train.steps=6", "train.warmup_steps=2", "system.width=16", "system.depth=1"]
    for name, workers in (("a", 1), ("b", 4)):
        training.train_model(
            "show_and_tell", images, tmp_path / name, [*small, f"train.prefetch={workers}"], device="cpu"
        )
    a, b = (load_checkpoint(tmp_path / name / "model").system.state_dict() for name in "ab")
    assert all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize(("warmup", "told"), [(3, True), (1, False)])
def test_a_run_that_ends_within_its_warm_up_is_warned_of(images, tmp_path, caplog, warmup, told):
    small = ["train.steps=2", f"train.warmup_steps={warmup}", "system.width=16", "system.depth=1"]
    training.train_model("show_and_tell", images, tmp_path / "run", small, device="cpu")
    assert ("ends within its warm-up of 3 steps" in caplog.text) == told


def test_mistakes_are_named(images, tmp_path):
    with pytest.raises(UsageError, match="did you mean show_and_tell"):
        training.train_model("show_an_tell", images, tmp_path, [])
    with pytest.raises(UsageError, match="learning_rate"):
        training.train_model("show_and_tell", images, tmp_path, ["train.learning_rat=1"])
    with pytest.raises(UsageError, match="tpu is not the name of a device"):
        training.train_model("show_and_tell", images, tmp_path, [], device="tpu")


def test_a_split_without_images_is_named(images):
    only = [Entry(images / "train" / "0.png", ("a red square",), "train")]
    with pytest.raises(UserError, match="'val'"):
        show_and_tell(1).prepare(CaptionData(only), "cpu")


def test_what_is_evaluated_is_what_was_held_out(trained, images, tmp_path):
    shutil.copytree(images / "train", tmp_path / "train")
    kept = divide(read_captions(tmp_path).entries)["val"]
    assert 0 < len(kept) < 10
    figures = evaluate(load_model(trained), tmp_path, "val", engines=(), beam=1)
    assert figures["images"] == len(kept)


@pytest.mark.parametrize("build", [show_and_tell, show_attend_and_tell])
def test_recipes_read_few_images_for_more_epochs(build):
    assert build(10).train.steps == 600
    assert build(60_000).train.steps == 10 * build(6000).train.steps


def test_the_folder_of_another_run_is_refused_before_the_data_is_read(tmp_path):
    (tmp_path / "run" / "state").mkdir(parents=True)
    with pytest.raises(UsageError, match="already holds a run"):
        training.train_model("show_and_tell", tmp_path / "no data", tmp_path / "run", [], device="cpu")
    with pytest.raises(UsageError, match="no run to resume"):
        training.train_model(
            "show_and_tell", tmp_path / "no data", tmp_path / "new", [], resume=True, device="cpu"
        )
    assert not (tmp_path / "new").exists()
