"""Classification runs of ViT: coloured squares, an archive, a resumed run, uses of the result."""

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from showtell.checkpoint.load import load_checkpoint
from showtell.cli.main import run
from showtell.datasets.labelled_images import find_labelled, load_labelled
from showtell.errors import UsageError, UserError
from showtell.pipelines.classify import TrainedClasses, classify
from showtell.pipelines.model import load_model
from showtell.recipes import launch as training
from showtell.recipes.vit import PAPER_STEPS, PAPER_WARMUP, vit_base, vit_mini
from showtell.runs import classification
from showtell.runs.classification import ClassificationRun, measure
from showtell.systems.vit import ViT

COLOURS = {"blue": (40, 60, 200), "green": (40, 190, 60), "红 red": (210, 40, 40)}
TINY = [
    *("system.image_size=16", "system.patch_size=8", "system.width=32", "system.depth=1"),
    *("system.num_heads=2", "system.mlp_dim=32", "system.dropout=0.1"),
    *("train.batch_size=16", "train.steps=60", "train.warmup_steps=5", "train.validate_every=20"),
    *("train.learning_rate=3e-3", "train.checkpoint_every=20"),
]


@pytest.fixture(scope="module")
def squares(tmp_path_factory) -> Path:
    """20 noisy squares of each colour for training and 10 for testing, the first of each damaged."""
    root, rng = tmp_path_factory.mktemp("squares"), np.random.default_rng(0)
    for name, colour in COLOURS.items():
        for split, count in (("train", 20), ("test", 10)):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = np.clip(np.array(colour) + rng.normal(0, 40, (20, 24, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
            (folder / "0.png").write_bytes(b"no image")
    return root


@pytest.fixture(scope="module")
def trained(squares, tmp_path_factory) -> tuple[Path, dict]:
    output = tmp_path_factory.mktemp("run") / "vit"
    return output, training.train_model("vit_mini", squares, output, TINY, device="cpu")


def test_it_classifies_unseen_squares(trained, squares) -> None:
    output, reached = trained
    assert reached.keys() == {"model", "steps", "accuracy", "test_accuracy"}
    assert reached["test_accuracy"] > 0.9
    checkpoint = load_checkpoint(output)
    assert checkpoint.record["data"]["train"] + checkpoint.record["data"]["val"] == 57
    assert checkpoint.record["validation"]["accuracy"] == reached["accuracy"]
    card = (output / "model" / "README.md").read_text("utf-8")
    assert "Its classes: blue, green, 红 red." in card
    assert f"| validation: accuracy | {reached['accuracy']:.4g} |" in card


def test_no_image_is_trained_on_and_tested_on(squares, caplog) -> None:
    found = find_labelled(squares)
    parts = load_labelled(found, 16)
    names = [set(part.names) for part in parts]
    assert not any(names[a] & names[b] for a, b in ((0, 1), (0, 2), (1, 2)))
    assert names[2] == {f"test/{name}/{n}.png" for name in COLOURS for n in range(1, 10)}
    assert sum(map(len, names[:2])) == 57
    assert "6 images skipped, the first: test/blue/0.png" in caplog.text
    for part in parts:  # the pixels are those of the name and the label
        place = len(part) // 2
        path = squares / part.names[place]
        assert path.parent.name == found.classes.names[int(part.labels[place])]
        pixels = np.asarray(Image.open(path).resize((16, 16), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(part[[place]][0].permute(1, 2, 0), pixels)


def test_an_archive_is_the_same_data(squares, tmp_path) -> None:
    packed = tmp_path / "squares.tar.xz"
    with tarfile.open(packed, "w:xz") as out:
        for split in ("test", "train"):  # in another order
            out.add(squares / split, split)
    folder, archive = (load_labelled(find_labelled(data), 16) for data in (squares, packed))
    assert [part.hash for part in folder] == [part.hash for part in archive]
    assert folder[0].hash != replace(folder[0], labels=folder[0].labels.flip(0)).hash


def test_accuracy_and_loss_are_those_of_each_image(squares, monkeypatch) -> None:
    monkeypatch.setattr(classification, "CHUNK", 5)
    _, _, test = load_labelled(find_labelled(squares), 16)
    config = replace(vit_mini(1).system, image_size=16, patch_size=8, depth=1, num_classes=3)
    torch.manual_seed(0)
    system = ViT(config).eval()
    right, loss = 0, 0.0
    for place in range(len(test)):
        with torch.no_grad():
            tokens = system.transformer(system.embed(test[[place]].float() / 127.5 - 1))
            logprobs = system.classifier(tokens[:, 0]).log_softmax(1)[0]
        right += int(logprobs.argmax() == test.labels[place])
        loss -= float(logprobs[test.labels[place]])
    found = measure(system, test)
    assert found == {"accuracy": right / 27, "loss": pytest.approx(loss / 27, abs=1e-5)}


def test_a_resumed_run_is_the_same_to_the_bit(trained, squares, tmp_path, monkeypatch) -> None:
    class Stopped(Exception):
        """In the middle of an epoch."""

    built = ViT.forward

    def forward(self, batch, generator=None):
        if forward.left == 0:
            raise Stopped
        forward.left -= 1
        return built(self, batch, generator)

    forward.left = 33
    monkeypatch.setattr(ViT, "forward", forward)
    with pytest.raises(Stopped):
        training.train_model("vit_mini", squares, tmp_path / "run", TINY, device="cpu")
    monkeypatch.undo()
    reached = training.train_model("vit_mini", squares, tmp_path / "run", TINY, resume=True, device="cpu")
    whole, resumed = (load_checkpoint(run).system.state_dict() for run in (trained[0], tmp_path / "run"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert reached["test_accuracy"] == trained[1]["test_accuracy"]
    lines, again = (_losses(run / "metrics.jsonl") for run in (trained[0], tmp_path / "run"))
    assert len(lines) == 60
    assert lines == again


def _losses(metrics: Path) -> dict[int, float]:
    lines = map(json.loads, metrics.read_text().splitlines())
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


def test_it_classifies_without_labels(trained, squares, capsys) -> None:
    model = load_model(trained[0])
    images = [squares / "test" / name / "5.png" for name in COLOURS]
    found = list(classify(images, model=model))
    assert [image.label for image in found] == list(COLOURS)
    for image in found:
        assert {one.label for one in image.labels} == set(COLOURS)
        assert [one.probability for one in image.labels] == sorted(
            (one.probability for one in image.labels), reverse=True
        )
        assert sum(one.probability for one in image.labels) == pytest.approx(1)
    encoded = model.encode([model.read(images[0])])
    expected = model.system.classifier(encoded.tokens[:, 0]).softmax(1)
    torch.testing.assert_close(TrainedClasses(model)(encoded), expected)
    assert run(["classify", str(images[2]), "--model", str(trained[0]), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["label"] == "红 red"


def test_wrong_uses_bring_an_error_that_helps(trained, checkpoint, squares, capsys) -> None:
    image = str(squares / "test" / "blue" / "5.png")
    for arguments, message in (
        (
            ["--model", str(trained[0]), "--labels", "a,b"],
            "the classes it was trained on; leave out --labels",
        ),
        (["--model", str(trained[0]), "--template", "a {}"], "a template needs labels"),
        (["--model", str(checkpoint)], "has no named classes; name labels with --labels"),
        ([], "name labels with --labels, or with --model a model"),
    ):
        assert run(["classify", image, *arguments]) == 2
        assert message in capsys.readouterr().err
    unnamed = load_model(trained[0])
    unnamed.system.class_names = ()
    with pytest.raises(UsageError, match="no named classes"):
        TrainedClasses(unnamed)


def test_mistakes_are_named(squares, tmp_path) -> None:
    for settings, message in (
        (["system.patch_size=5"], r"image_size=32 is no multiple of system\.patch_size=5"),
        (["system.patch_size=0"], "no multiple"),
        (["area=0.5,0.2"], r"area=\(0\.5, 0\.2\)"),
        (["area=0,1"], "above 0"),
    ):
        with pytest.raises(UsageError, match=message):
            training.train_model("vit_mini", squares, tmp_path / "run", settings, device="cpu")
    with pytest.raises(UsageError, match="is for captions"):
        training.train_model("vit_mini", squares, tmp_path / "run", [], format="coco", device="cpu")
    with pytest.raises(UserError, match="holds 0 classes"):
        training.train_model("vit_mini", squares / "train" / "blue", tmp_path / "run", [], device="cpu")
    for name in ("train/a/1.png", "train/b/1.png", "test/a/1.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"no image")
    with pytest.raises(UserError, match="no training image can be read"):
        training.train_model("vit_mini", tmp_path, tmp_path / "run", TINY, device="cpu")
    assert not (tmp_path / "run").exists()


def test_the_papers_numbers_on_imagenet() -> None:
    recipe = vit_base(1_281_167)
    assert isinstance(recipe, ClassificationRun)
    assert (recipe.train.steps, recipe.train.warmup_steps) == (PAPER_STEPS, PAPER_WARMUP)
    assert vit_mini(50_000).train.steps == vit_mini(10**6).train.steps > vit_mini(100).train.steps
