"""Probes end to end: coloured squares in folders, a small network, every kind of probe, the command line."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from showtell.checkpoint.save import save_checkpoint
from showtell.cli.main import run
from showtell.data.images.decode import decode_image
from showtell.data.labels.images import read_classes
from showtell.errors import UsageError, UserError
from showtell.evaluation import finetune
from showtell.evaluation.probe import probe
from showtell.nn.backbones.resnet import SHAPES, ResNetShape
from showtell.pipelines.model import load_model
from showtell.systems.simsiam import SimSiam, SimSiamConfig

COLOURS = {"blue": (40, 60, 200), "green": (40, 190, 60), "red": (210, 40, 40)}
SHAPES.setdefault("tiny", ResNetShape((1, 1), (16, 32), bottleneck=False, stem_width=16))


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "model"
    torch.manual_seed(0)
    save_checkpoint(
        folder,
        SimSiam(SimSiamConfig("tiny", "cifar", 16, 2, 8)),
        record={"recipe": "simsiam"},
        tokenizer_json="",
        preprocess={"size": 16, "version": "squash16-v1"},
        card="# untrained\n",
    )
    return folder


@pytest.fixture(scope="module")
def squares(tmp_path_factory) -> Path:
    """20 training and 10 test squares of each colour, with noise, some damaged."""
    root, rng = tmp_path_factory.mktemp("squares"), np.random.default_rng(0)
    for name, colour in COLOURS.items():
        for split, count in (("train", 20), ("test", 10)):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = np.clip(np.array(colour) + rng.normal(0, 40, (20, 24, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    for number in range(5):
        (root / "test" / "red" / f"{number}.png").write_bytes(b"no image")
    return root


@pytest.mark.parametrize("kind", ["knn", "linear"])
def test_frozen_vectors_know_colours(model, squares, kind, caplog) -> None:
    found = probe(squares, load_model(model), kind=kind)
    assert found.accuracy > 0.9
    assert found.chance == pytest.approx(10 / 25)
    assert (found.trained, found.tested, found.skipped) == (60, 25, 5)
    assert list(found.classes) == ["blue", "green", "red"]
    right = found.classes["blue"] * 10 + found.classes["green"] * 10 + found.classes["red"] * 5
    assert right / 25 == pytest.approx(found.accuracy)
    assert "5 images skipped, the first: test/red/0.png" in caplog.text


def test_the_network_is_trained_and_the_model_stays(model, squares, monkeypatch) -> None:
    monkeypatch.setattr(finetune, "AT_LEAST", 20)
    loaded = load_model(model)
    before = {name: tensor.clone() for name, tensor in loaded.system.state_dict().items()}
    found = probe(squares, loaded, kind="finetune", epochs=1)
    assert found.accuracy > 0.9
    assert (found.trained, found.tested) == (60, 25)
    assert all(torch.equal(t, before[n]) for n, t in loaded.system.state_dict().items())
    assert not any(p.requires_grad for p in loaded.system.parameters())
    assert probe(squares, loaded, kind="finetune", epochs=1) == found  # the seed decides


def test_few_labels_are_drawn_by_the_seed(model, squares) -> None:
    loaded = load_model(model)
    found = probe(squares, loaded, labels_per_class=2, kind="linear")
    assert found.trained == 6
    assert found == probe(squares, loaded, labels_per_class=2, kind="linear")
    with pytest.raises(UsageError, match="class blue has 20 items"):
        probe(squares, loaded, labels_per_class=21)


def test_a_frozen_backbone_cannot_be_fine_tuned(checkpoint, squares) -> None:
    with pytest.raises(UsageError, match=r"frozen backbone.*--kind linear"):
        probe(squares, load_model(checkpoint), kind="finetune")


def test_no_test_images_are_an_error(model, tmp_path) -> None:
    for name in ("train/a/1.png", "train/b/1.png", "test/a/1.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"no image")
    with pytest.raises(UserError, match=r"too few images can be read; the first: train/a/1\.png"):
        probe(tmp_path, load_model(model))


def test_the_command(model, squares, tmp_path, capsys) -> None:
    packed = tmp_path / "squares.tar.gz"
    with tarfile.open(packed, "w:gz") as out:
        out.add(squares, "squares")
    assert run(["probe", "--model", str(model), "--data", str(packed), "--kind", "linear", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert None not in json.loads(line).values(), "figures of texts are left out"
    found = json.loads(line)
    assert found["kind"] == "linear"
    assert found["accuracy"] > 0.9
    assert set(found["classes"]) == set(COLOURS)
    assert run(["probe", "--model", str(model), "--data", str(squares), "--labels-per-class", "5"]) == 0
    assert "knn trained on 15" in capsys.readouterr().out
    assert run(["probe", "--model", str(model), "--data", str(tmp_path / "nowhere")]) == 1
    assert "there is no file or folder" in capsys.readouterr().err


@pytest.mark.slow
def test_cifars_archive_is_read_where_it_lies(shared_data) -> None:
    found = read_classes(shared_data / "cifar10" / "cifar10-jpeg.tar.xz")
    assert len(found.names) == 10
    assert (len(found.items), sum(item.held_out for item in found.items)) == (60_000, 10_000)
    wanted = found.items[::6_000]
    assert [decode_image(data, "").shape for _, data in found.contents(wanted)] == [(32, 32, 3)] * 10
