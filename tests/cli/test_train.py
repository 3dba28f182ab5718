"""`showtell train`: recipes listed and explained, and mistakes named before anything is read."""

import pytest

from showtell.cli.main import run


def test_recipes_are_listed(ask, capsys) -> None:
    status, recipes, _ = ask("train", "--list")
    assert status == 0
    by_name = {recipe["name"]: recipe for recipe in recipes}
    assert by_name["clip_mini"]["trains_on"] == "images with captions"
    assert "minutes" in by_name["clip_mini"]["time"]
    assert "Zhai" in by_name["siglip_mini"]["paper"]
    assert run(["train", "--list"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split()[:3] == ["recipe", "trains", "on"]
    assert len(shown) == len(recipes) + 1


def test_settings_are_shown_as_they_are_set(ask, capsys) -> None:
    status, settings, _ = ask("train", "vit_mini", "--show")
    assert status == 0
    by_name = {setting["name"]: setting for setting in settings}
    assert by_name["train.batch_size"]["default"] == 64
    assert by_name["train.steps"]["varies"]
    assert all(setting["meaning"] and setting["expects"] for setting in settings)
    assert run(["train", "vit_mini", "--show"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "by the data" in lines["train.steps"]
    assert "0.5,1.0" in lines["area"]
    assert " true " in lines["train.higher_is_better"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "showtell train --list"),
        (["simsiam"], "showtell: train simsiam needs --data and --output"),
        (["simsiam", "--data", "x"], "needs --output"),
        (["simsia", "--show"], "did you mean simsiam"),
        (["simsia", "--data", "x", "--output", "y"], "did you mean simsiam"),
    ],
)
def test_mistakes_are_named(arguments, says, capsys) -> None:
    assert run(["train", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_an_unknown_recipe_is_named_before_what_it_lacks(ask) -> None:
    status, _, said = ask("train", "clip_mni")
    assert status == 2
    assert "did you mean clip_mini" in said
    assert ask("train", "clip_mini")[2].strip().endswith("needs --data and --output")


def test_an_output_that_is_no_run_is_refused_before_the_data_are_read(ask, tmp_path) -> None:
    (tmp_path / "file").write_text("text")
    given = "train", "simsiam", "--data", tmp_path / "nowhere", "--output"
    status, _, said = ask(*given, tmp_path / "file")
    assert (status, "is a file; name a folder for the run" in said) == (2, True)
    status, _, said = ask(*given, tmp_path)
    assert (status, "holds other files; choose another output folder" in said) == (2, True)
