"""Search by what an image's tags mean: against plain loops over the paper's equation."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import cosine_similarity

from showtell.errors import UserError
from showtell.evaluation.retrieval import EncodedImages
from showtell.library.sight import Sight, Tag
from showtell.pipelines.engine import engine_named, engines_of
from showtell.pipelines.index import index
from showtell.pipelines.model import Model, load_model
from showtell.pipelines.search import Searcher
from showtell.protocols import Encoded
from support.dual import COLOURS
from support.library import draw

SIGHTS = [
    Sight([Tag("a green square", 0.5), Tag("a red square", 0.25)], None),
    Sight([], None),
    Sight([Tag("a red square", 0.06)], 1.2),
    Sight([Tag("a blue square", 0.9), Tag("a red square", 0.08)], None),
]


@pytest.fixture(scope="module")
def model(clip) -> Model:
    return load_model(clip, "cpu")


def images(sights: list[Sight]) -> EncodedImages:
    encoded = Encoded(torch.zeros(len(sights), 1, 8), torch.zeros(len(sights), 8))
    return EncodedImages([Path(f"{row}.png") for row in range(len(sights))], encoded, [], sights)


def test_it_is_the_convex_combination_of_the_names(model) -> None:
    queries = ["a red square", "a green square"]
    answers = list(engine_named("tags")(images(SIGHTS), model).find(map(model.read_text, queries), 10))
    for query, answer in zip(queries, answers, strict=True):
        wanted, expected = model.text_vectors([query])[0], {}
        for row, sight in enumerate(SIGHTS):
            if sight.tags:
                mean = torch.zeros(8)
                for tag in sight.tags:
                    unit = model.text_vectors([tag.label])[0]
                    mean += tag.probability / sum(one.probability for one in sight.tags) * unit / unit.norm()
                expected[row] = cosine_similarity(mean, wanted, dim=0).item()
        assert [hit.row for hit in answer.hits] == sorted(expected, key=lambda row: -expected[row])
        assert {hit.row: hit.score for hit in answer.hits} == pytest.approx(expected, abs=1e-5)
    assert [answer.hits[0].row for answer in answers] == [2, 0]
    assert answers[0].hits[0].score == pytest.approx(1, abs=1e-5), "however little probable"
    (one,) = next(engine_named("tags")(images(SIGHTS), model).find([model.read_text("a red square")], 1)).hits
    assert one.path == Path("2.png")


def test_it_is_used_only_when_it_is_named(model) -> None:
    assert engines_of(model) == ["dot"]


def test_a_library_without_tags_says_why(ask, clip, model, tmp_path) -> None:
    draw(tmp_path / "photos" / "red.png", COLOURS["red"])
    index(tmp_path / "photos", tmp_path / "library", model)
    place = ("--library", tmp_path / "library", "--model", clip, "--engine", "tags")
    status, lines, err = ask("search", "a red square", *place)
    assert (status, lines) == (1, [])
    assert "the backbone of colour_clip@" in err
    assert "showtell index FOLDER --library LIBRARY --rebuild" in err
    with pytest.raises(UserError, match="no image has tags"):
        Searcher(tmp_path / "library", model).search("red", "tags")
