"""A captioner over any imported image encoder: trained, saved, loaded, asked for a caption."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from showtell.checkpoint.load import load_checkpoint
from showtell.cli.main import run
from showtell.data.images.samples import sample_photographs
from showtell.datasets.caches import feature_cache
from showtell.errors import MissingError
from showtell.hub.backbones import load_backbone
from showtell.pipelines.model import load_model
from showtell.recipes import launch
from support.checkpoints import CAPTIONS
from support.image_encoders import ENCODERS, image_encoder

SMALL = ["train.steps=1", "train.batch_size=4", "system.width=16", "vocabulary.min_count=1", "train.ema=0"]


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Images with a caption each, in the imagefolder convention."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2)):
        rows = []
        (folder / split).mkdir()
        for number in range(count):
            pixels = rng.integers(0, 256, (50, 70, 3), np.uint8)
            Image.fromarray(pixels).save(folder / split / f"{number}.png")
            rows.append({"file_name": f"{number}.png", "captions": [CAPTIONS[number % len(CAPTIONS)]]})
        (folder / split / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.fixture(params=ENCODERS, scope="module")
def trained(request, images, tmp_path_factory) -> tuple[Path, Path]:
    """The checkpoint of a captioner trained for one step, and its backbone's folder."""
    output = tmp_path_factory.mktemp(request.param)
    *_, backbone = image_encoder(request.param, output)
    launch.train_model(
        "show_attend_and_tell", images, output / "run", [*SMALL, f"backbone={backbone}"], device="cpu"
    )
    return output / "run" / "model", backbone


def test_it_captions_images_as_its_backbone_sees_them(trained) -> None:
    folder, path = trained
    backbone = load_backbone(str(path))
    checkpoint = load_checkpoint(folder)
    assert checkpoint.preprocess == {
        "backbone": str(path.resolve()),
        "version": backbone.preprocessing,
        "hash": backbone.hash,
    }
    assert checkpoint.system.config.feature_width == backbone.width
    assert path.name in (folder / "README.md").read_text()
    model = load_model(folder)
    image = model.read(sample_photographs()[0])
    assert image.shape == (backbone.size, backbone.size, 3)
    encoded = model.encode([image])
    assert encoded.tokens.shape[:2] == (1, backbone.num_tokens)
    assert isinstance(model.caption(sample_photographs()[0])[0], str)


def test_cached_features_are_of_the_backbones_own_preprocessing(trained, images) -> None:
    backbone, path = load_backbone(str(trained[1])), images / "train" / "0.png"
    cache = feature_cache(backbone)
    expected = backbone(backbone.prepare(np.asarray(Image.open(path)))[None])
    torch.testing.assert_close(cache.grid(cache.add([path]).rows), expected, atol=5e-3, rtol=2e-3)


def test_a_backbone_that_moved_or_changed_is_named_with_status_4(trained, tmp_path, capsys) -> None:
    folder, path = trained
    photograph = str(sample_photographs()[0])
    moved = path.with_name("moved")
    path.rename(moved)
    try:
        assert run(["caption", photograph, "--model", str(folder)]) == 4
        assert str(path) in capsys.readouterr().err
        beside = folder.parent / "beside"
        shutil.copytree(folder, beside / "captioner" / folder.name)
        shutil.copytree(moved, beside / path.name)
        assert run(["caption", photograph, "--model", str(beside / "captioner" / folder.name)]) == 0
        shutil.copytree(moved, path)
        card = json.loads((path / "config.json").read_text())
        card["config"]["mean"] = [0.1, 0.2, 0.3]
        (path / "config.json").write_text(json.dumps(card))
        with pytest.raises(MissingError, match=path.name) as error:
            load_model(folder)
        assert error.value.exit_status == 4
        card["config"]["width"] = 2 * card["config"].get("width", 8)  # another network altogether
        (path / "config.json").write_text(json.dumps(card))
        with pytest.raises(MissingError, match="needs the frozen backbone"):
            load_model(folder)
    finally:
        shutil.rmtree(path, ignore_errors=True)
        moved.rename(path)
    load_model(folder)
