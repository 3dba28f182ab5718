"""Tags are the backbone's own classes; the shipped captioner knows what it was not trained on."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from showtell.cli.main import run
from showtell.data.images.samples import sample_photographs
from showtell.pipelines.caption import caption
from showtell.pipelines.model import load_model
from showtell.pipelines.tags import sights


@pytest.fixture(scope="module")
def model():
    return load_model()


@pytest.fixture(scope="module")
def coffee():
    return next(path for path in sample_photographs() if path.name == "coffee.png")


def test_a_cup_of_coffee_is_tagged_and_unfamiliar(model, coffee) -> None:
    (seen,) = caption([coffee], model)
    assert {"espresso", "cup"} & {tag.label for tag in seen.tags}
    probabilities = [tag.probability for tag in seen.tags]
    assert probabilities == sorted(probabilities, reverse=True)
    assert 0.05 <= min(probabilities) <= sum(probabilities) <= 1
    assert seen.familiar is False
    assert seen.familiarity < 1


def test_noise_is_unfamiliar_and_a_checkpoint_without_statistics_does_not_guess(model) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    encoded = model.encode([noise])
    (seen,) = sights(model, encoded)
    assert seen.familiar is False
    (unknown,) = sights(replace(model, familiarity=None), encoded)
    assert unknown.familiar is None
    assert unknown.tags == seen.tags


def test_the_command_says_both_and_json_has_them(coffee, capsys) -> None:
    assert run(["caption", str(coffee)]) == 0
    shown = capsys.readouterr().out
    assert "espresso" in shown or "cup" in shown
    assert "unfamiliar: unlike the training images" in shown
    assert run(["caption", str(coffee), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["familiar"] is False
    assert row["tags"][0].keys() == {"label", "probability"}


def test_a_library_keeps_both_and_what_is_found_has_them(ask, coffee, model, tmp_path) -> None:
    place = ("--library", tmp_path / "library")
    photos = tmp_path / "photos"
    photos.mkdir()
    for photograph in sample_photographs()[:3]:
        shutil.copy(photograph, photos)
    shutil.copy(coffee, photos)
    assert ask("index", photos, *place, "--model", "default", "--no-captions")[0] == 0
    told = {Path(seen.path).name: seen for seen in caption([photos], model)}
    _, found, err = ask("search", "a cup", *place, "--model", "default")
    _, near, _ = ask("similar", coffee, *place)
    assert err == ""
    assert len(found) == len(near) == len(told)
    for row in [*found, *near]:
        seen = told[Path(row["path"]).name]
        assert [tag["label"] for tag in row["tags"]] == [tag.label for tag in seen.tags]
        assert [tag["probability"] for tag in row["tags"]] == pytest.approx(
            [tag.probability for tag in seen.tags], abs=1e-5
        )
        assert row["familiar"] is seen.familiar
        assert row["familiarity"] == pytest.approx(seen.familiarity, abs=1e-5)
