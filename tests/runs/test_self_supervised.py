"""Self-supervised runs: a folder of images in, an image encoder out; and a run that collapses."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from showtell.cli.main import run as command
from showtell.datasets.images import Unlabelled, find_unlabelled, load_pixels
from showtell.errors import UsageError, UserError
from showtell.nn.backbones import resnet
from showtell.nn.backbones import vit as vision_transformer
from showtell.nn.backbones.resnet import ResNetShape
from showtell.nn.backbones.vit import TransformerShape
from showtell.pipelines.model import load_model
from showtell.recipes import launch as training
from showtell.recipes.byol import byol
from showtell.recipes.simclr import simclr
from showtell.recipes.simmim import simmim
from showtell.recipes.simsiam import simsiam
from showtell.runs import self_supervised as viewing
from showtell.systems import simsiam as simsiam_system
from support.two_views import images

RECIPES = {"simclr": simclr, "byol": byol, "simsiam": simsiam, "simmim": simmim}
QUICK = ["train.steps=6", "train.warmup_steps=1", "train.batch_size=8", "train.watch_every=3"]
TINY = ["backbone=tiny", "system.projection_width=32", "system.bottleneck_width=8", "train.batch_size=32"]
TINY += ["train.learning_rate=1e-2", "train.warmup_steps=0", "train.watch_every=10"]


@pytest.fixture(autouse=True)
def _tiny_shapes(monkeypatch):
    monkeypatch.setitem(resnet.SHAPES, "tiny", ResNetShape((1, 1), (16, 32), bottleneck=False, stem_width=16))
    monkeypatch.setitem(vision_transformer.SHAPES, "tiny_vit", TransformerShape(32, 1, 2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """40 striped images of 16 pixels, a copy, a damaged one and a text."""
    root = tmp_path_factory.mktemp("images")
    (root / "deeper").mkdir()
    for place, pixels in enumerate(images(40, 16).permute(0, 2, 3, 1).numpy()):
        Image.fromarray(pixels).save(root / "deeper" / f"猫 {place:02}.png")
    shutil.copy(root / "deeper" / "猫 00.png", root / "copy.png")
    (root / "damaged.jpg").write_bytes(b"\xff\xd8\xff no more")
    (root / "notes.txt").write_text("no image")
    return root


def backbone(name: str) -> str:
    return f"backbone={'tiny_vit' if name == 'simmim' else 'tiny'}"


@pytest.mark.parametrize("name", RECIPES)
def test_from_a_folder_to_an_image_encoder(name, folder, tmp_path, caplog) -> None:
    caplog.set_level("INFO")
    reached = training.train_model(name, folder, tmp_path / "run", [*QUICK, backbone(name)])
    assert set(reached) == {"model", "steps"}  # no validation
    said = caplog.text
    assert "1 image skipped, the first:" in said
    assert "damaged.jpg" in said
    assert "40 images are few" in said
    assert f"{name}: 40 unlabelled images of 16 x 16" in said
    model = load_model(reached["model"])
    encoded = model.encode([model.read(path) for path in sorted(folder.glob("deeper/*"))[:3]])
    assert encoded.pooled.shape == (3, 32)
    assert model.preprocessing == "squash16-v1"
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert config["config"]["stem"] == "cifar"
    assert config["record"]["settings"]["backbone"] == config["config"]["backbone"] == backbone(name)[9:]
    assert "40" in (tmp_path / "run" / "model" / "README.md").read_text()
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    read = {line["step"]: line["monitor"] for line in lines if "monitor" in line}
    assert list(read) == ([] if name == "simmim" else [3, 6])
    assert all(set(f) == {"std", "effective_rank", "alignment", "uniformity"} for f in read.values())
    assert (tmp_path / "run" / "health.html").exists() == (name != "simmim")


@pytest.mark.parametrize("name", RECIPES)
def test_a_resumed_run_is_the_same_to_the_bit(name, folder, tmp_path, monkeypatch) -> None:
    settings = [*QUICK, backbone(name), "train.checkpoint_every=3", "train.prefetch=1"]
    training.train_model(name, folder, tmp_path / "whole", settings)
    drawn, draw = [], viewing.draw_views

    def stop(*arguments):
        drawn.append(1)
        if len(drawn) == 6:
            raise KeyboardInterrupt
        return draw(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(viewing, "draw_views", stop)
        with pytest.raises(KeyboardInterrupt):
            training.train_model(name, folder, tmp_path / "halves", settings)
    training.train_model(name, folder, tmp_path / "halves", settings, resume=True)
    weights = [(tmp_path / part / "model" / "model.safetensors").read_bytes() for part in ("whole", "halves")]
    assert weights[0] == weights[1]
    logs = [(tmp_path / part / "metrics.jsonl").read_text() for part in ("whole", "halves")]
    steps = [[json.loads(line)["step"] for line in log.splitlines()] for log in logs]
    assert steps[0] == steps[1]


def test_a_run_that_collapses_stops_and_says_so(folder, tmp_path, monkeypatch) -> None:
    def leaking(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return -F.cosine_similarity(prediction, target, dim=1).mean()

    monkeypatch.setattr(simsiam_system, "simsiam_loss", leaking)
    settings = [*TINY, "train.steps=200"]
    with pytest.raises(UserError, match=r"collapsed: at step (\d+) .*health\.html.*train\.learning_rate"):
        training.train_model("simsiam", folder, tmp_path / "run", settings)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] <= 120
    page = (tmp_path / "run" / "health.html").read_text()
    assert page.count("<svg") == 4
    assert "has collapsed" in page
    with pytest.raises(UserError, match="collapsed"):  # its state and its readings were saved
        training.train_model("simsiam", folder, tmp_path / "run", settings, resume=True)


def test_a_healthy_run_is_left_alone(folder, tmp_path) -> None:
    settings = [*TINY, "train.steps=40"]
    training.train_model("simsiam", folder, tmp_path / "run", settings)
    assert "step 40" in (tmp_path / "run" / "health.html").read_text()


@pytest.mark.parametrize(
    ("side", "size", "stem"),
    [(32, 32, "cifar"), (61, 64, "cifar"), (65, 128, "imagenet"), (300, 128, "imagenet")],
)
def test_the_images_decide_size_and_stem(tmp_path, side, size, stem) -> None:
    for place in range(3):
        Image.new("RGB", (side, side // 2), (place, 0, 0)).save(tmp_path / f"{place}.png")
    data = find_unlabelled(tmp_path)
    chosen = simsiam(3).settled(data)
    assert (chosen.size, chosen.system.stem) == (size, stem)
    assert {one.size for one in chosen.views()} == {size}
    assert [one.blur > 0 for one in chosen.views()] == [size > 64] * 2
    assert all(one.sigma[1] == pytest.approx(2 * size / 224) for one in chosen.views())
    forced = replace(simsiam(3), size=96, stem="cifar", backbone="vit_mini").settled(data)
    assert (forced.size, forced.system.stem, forced.system.backbone) == (96, "cifar", "vit_mini")


def test_byols_teacher_stops_when_the_run_ends(folder) -> None:
    recipe = byol(40)
    chosen = replace(recipe, train=replace(recipe.train, steps=77))
    assert chosen.settled(find_unlabelled(folder)).system.total_steps == 77


def test_copies_count_once_and_damaged_ones_not_at_all(folder) -> None:
    found = find_unlabelled(folder)
    assert found.num_training == 42
    pixels = load_pixels(found, 16)
    assert len(pixels) == 40
    assert pixels.names[:2] == ["copy.png", "猫 01.png"]
    place = 7
    (path,) = (path for path in found.paths if path.name == pixels.names[place])
    expected = np.asarray(Image.open(path)).transpose(2, 0, 1)
    np.testing.assert_array_equal(pixels[[place]][0].numpy(), expected)
    fewer = load_pixels(Unlabelled(found.paths[1:]), 16)
    assert fewer.hash != pixels.hash == load_pixels(found, 16).hash


def test_mistakes_are_named(folder, tmp_path, capsys) -> None:
    with pytest.raises(UsageError, match="--format coco is for captions"):
        training.train_model("simsiam", folder, tmp_path / "run", TINY, format="coco")
    run = ["train", "simmim", "--data", str(folder), "--output", str(tmp_path / "run")]
    assert command([*run, "--set", "size=20"]) == 2
    assert "size=20: give a multiple of 8 pixels" in capsys.readouterr().err
    assert command([*run, "--set", "backbone=resnet18"]) == 2
    assert "vit_mini" in capsys.readouterr().err
    empty = tmp_path / "empty"
    empty.mkdir()
    assert command(["train", "byol", "--data", str(empty), "--output", str(tmp_path / "run")]) == 1
    assert "there are no images in" in capsys.readouterr().err
    (empty / "a.png").write_bytes(b"nothing")
    assert command(["train", "byol", "--data", str(empty), "--output", str(tmp_path / "run")]) == 1
    assert "0 different images can be read" in capsys.readouterr().err
    with pytest.raises(UsageError, match=r"did you mean system\.projection_width"):
        training.train_model("simclr", folder, tmp_path / "run", ["projection_width=3"])


@pytest.mark.slow
def test_photographs_without_a_configuration(shared_data, tmp_path, capsys) -> None:
    """120 photographs of all shapes: it warns, finishes, and the checkpoint indexes, finds and maps."""
    photos, model, library = shared_data / "photos", tmp_path / "run", tmp_path / "library"
    few = ["--set", "train.steps=4", "--set", "train.batch_size=16"]
    assert command(["train", "simsiam", "--data", str(photos), "--output", str(model), *few]) == 0
    assert "120 images are few" in capsys.readouterr().err
    options = ["--library", str(library), "--model", str(model)]
    assert command(["index", str(photos), *options, "--no-captions"]) == 0
    image = str(sorted(photos.rglob("*.jpg"))[0])
    assert command(["similar", image, *options, "--top", "3", "--json"]) == 0
    hits = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    scores = [hit["score"] for hit in hits]
    assert len(scores) == 3  # the image itself is left out
    assert 1 + 1e-4 >= scores[0] >= scores[1] >= scores[2]
    drawn = str(tmp_path / "map.html")
    assert command(["map", "images", "--library", str(library), "--output", drawn]) == 0
