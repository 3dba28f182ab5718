"""Re-ranking: another model proposes images, a model of pairs orders them; each image is read once."""

from pathlib import Path

import numpy as np
import pytest
import torch

from showtell.data.batch import Batch, ImageBatch, TextBatch
from showtell.errors import UsageError
from showtell.pipelines.captioner_rerank import WEIGHT
from showtell.pipelines.engines import rerank
from showtell.pipelines.index import index
from showtell.pipelines.model import load_model
from showtell.pipelines.search import Searcher
from showtell.tasks.pair_scores import pair_scores
from support.dual import COLOURS
from support.library import draw
from support.pairs import untrained_vilt


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name, colour in COLOURS.items():
        draw(folder / f"{name}.png", colour)
    return folder


@pytest.fixture(scope="module")
def vilt(tmp_path_factory) -> Path:
    return untrained_vilt(tmp_path_factory.mktemp("vilt") / "model")


@pytest.fixture
def library(photos, clip, tmp_path) -> Path:
    index(photos, tmp_path / "library", load_model(clip, "cpu"), captions=False)
    return tmp_path / "library"


def test_what_another_model_proposes_is_ordered_by_the_model_of_pairs(library, vilt, clip, photos):
    model = load_model(vilt, "cpu")
    searcher = Searcher(library, model, load_model(clip, "cpu"))
    hits = searcher.search("a red square").hits
    ids = torch.tensor([model.read_text("a red square").ids])
    expected = {}
    for name in COLOURS:
        pixels = torch.from_numpy(model.read(photos / f"{name}.png")).permute(2, 0, 1)[None]
        texts = TextBatch(ids, torch.ones_like(ids, dtype=torch.bool))
        with torch.no_grad():
            fused = model.system.fuse(Batch(ImageBatch(pixels=pixels), texts))
            expected[name] = model.system.match(fused.pooled).item()
    assert [hit.path.stem for hit in hits] == sorted(expected, key=lambda name: -expected[name])
    assert [hit.score for hit in hits] == pytest.approx(sorted(expected.values(), reverse=True), abs=1e-5)
    assert len(searcher.search("a red square", top=2).hits) == 2


def test_an_image_is_read_once_for_all_queries(library, vilt, clip, monkeypatch):
    model = load_model(vilt, "cpu")
    searcher, read = Searcher(library, model, load_model(clip, "cpu")), []
    reading = type(model).read
    monkeypatch.setattr(type(model), "read", lambda self, path: read.append(path) or reading(self, path))
    first = searcher.search("a red square").hits
    assert len(read) == 4
    searcher.search("a blue square")
    assert len(read) == 4
    assert searcher.search("a red square").hits == first


@torch.no_grad()
def test_an_image_of_any_aspect_ratio_scores_alone_as_among_others(tmp_path):
    model = load_model(untrained_vilt(tmp_path / "model", "fit16x8-v1"), "cpu")
    noise = np.random.default_rng(0)
    images = [noise.integers(0, 256, size, np.uint8) for size in ((20, 20, 3), (16, 24, 3), (40, 18, 3))]
    pixels = [model.prepare(image) for image in images]
    assert [one.shape for one in pixels] == [(16, 16, 3), (16, 24, 3), (24, 8, 3)]
    ids = [model.read_text("a red square").ids]
    one_by_one = [model.system.embed_images(model.image_input.batch([one])) for one in pixels]
    alone = torch.cat([pair_scores(model.system, ids, one) for one in one_by_one], 1)
    for together in (
        model.system.embed_images(model.image_input.batch(pixels)),
        rerank.joined(one_by_one),
    ):
        torch.testing.assert_close(pair_scores(model.system, ids, together), alone, atol=1e-5, rtol=0)
    assert alone.std() > 1e-3


def test_a_cache_without_room_gives_the_same_answers(library, vilt, clip, monkeypatch):
    model, proposer = load_model(vilt, "cpu"), load_model(clip, "cpu")
    expected = Searcher(library, model, proposer).search("a red square").hits
    monkeypatch.setattr(rerank, "CACHE_BYTES", 0)
    searcher = Searcher(library, model, proposer)
    assert [searcher.search("a red square").hits for _ in range(2)] == [expected, expected]


def test_an_image_that_is_gone_is_left_out_and_counted(photos, library, vilt, clip, caplog, tmp_path):
    moved = (photos / "red.png").rename(tmp_path / "red.png")
    try:
        searcher = Searcher(library, load_model(vilt, "cpu"), load_model(clip, "cpu"))
        hits = searcher.search("a red square").hits
    finally:
        moved.rename(photos / "red.png")
    assert sorted(hit.path.stem for hit in hits) == ["blue", "green", "yellow"]
    assert "1 proposed image left out, the first: " in caplog.text


def test_search_reranks_with_the_model_that_is_named(ask, library, vilt, clip):
    given = ("search", "a red square", "--library", library)
    status, lines, _ = ask(*given, "--engine", "rerank", "--model", vilt, "--proposer", clip)
    assert status == 0
    assert len(lines) == 4
    status, _, said = ask(*given, "--proposer", clip)
    assert status == 2
    assert "--proposer needs --model" in said
    status, _, said = ask(*given, "--engine", "rerank", "--model", clip)
    assert status == 2
    assert "pair scorer" in said


def test_a_captioner_orders_what_another_proposes_by_cosine_and_likelihood(library, photos, clip, checkpoint):
    captioner, dual = load_model(checkpoint, "cpu"), load_model(clip, "cpu")
    index(photos, library, captioner, captions=False)
    query = "a dog in the grass"
    proposed = {hit.path: hit.score for hit in Searcher(library, dual).search(query).hits}
    described = {hit.path: hit.score for hit in Searcher(library, captioner).search(query, "likelihood").hits}
    expected = {path: proposed[path] + WEIGHT * described[path] for path in proposed}
    searcher = Searcher(library, captioner, dual)
    hits = searcher.search(query, "rerank").hits
    assert [hit.path for hit in hits] == sorted(expected, key=lambda path: -expected[path])
    assert [hit.score for hit in hits] == pytest.approx(sorted(expected.values(), reverse=True), abs=1e-3)
    assert searcher.search(query, "rerank", top=2).hits == hits[:2]
    with pytest.raises(UsageError, match="a proposer is for the engine rerank, not for likelihood"):
        searcher.search(query, "likelihood")
    with pytest.raises(UsageError, match="is not a captioner"):
        Searcher(library, dual, dual)


def test_a_captioner_leaves_a_query_that_it_cannot_read_as_proposed(library, photos, clip, checkpoint):
    captioner, dual = load_model(checkpoint, "cpu"), load_model(clip, "cpu")
    index(photos, library, captioner, captions=False)
    for query in ("a zebra eating apples", "zebra", "一只猫"):
        answer = Searcher(library, captioner, dual).search(query, "rerank")
        assert answer.hits == Searcher(library, dual).search(query).hits
        assert not answer.unknown, "the dual encoder, whose order it is, reads them"


def test_images_that_the_captioner_has_not_indexed_are_left_out(library, photos, clip, checkpoint, caplog):
    captioner, dual = load_model(checkpoint, "cpu"), load_model(clip, "cpu")
    aside = (photos / "red.png").rename(photos / "red.aside")
    try:
        index(photos, library, captioner, captions=False)
    finally:
        aside.rename(photos / "red.png")
    index(photos, library, dual)
    hits = Searcher(library, captioner, dual).search("a dog", "rerank").hits
    assert sorted(hit.path.stem for hit in hits) == ["blue", "green", "yellow"]
    assert f"1 proposed image left out, which {captioner.name} has not indexed" in caplog.text
