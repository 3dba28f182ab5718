"""A dual encoder in a library: its vectors beside the captioner's, and its engine."""

from pathlib import Path

import pytest
import torch

from showtell.checkpoint.save import save_checkpoint
from showtell.data.tokenizers.words import WordTokenizer
from showtell.errors import UsageError, UserError
from showtell.library.search import Library
from showtell.pipelines.engine import engines_of
from showtell.pipelines.index import index
from showtell.pipelines.model import load_model
from showtell.pipelines.search import Searcher, search
from showtell.systems.vse import VSE, VSEConfig
from support.checkpoints import CAPTIONS
from support.dual import COLOURS
from support.library import draw


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name, colour in COLOURS.items():
        draw(folder / f"{name}.png", colour)
    (folder / "red.txt").write_text("a poppy")
    return folder


@pytest.fixture(scope="module")
def library(photos, clip, checkpoint, tmp_path_factory) -> Path:
    """Indexed by a captioner, then by the dual encoder."""
    folder = tmp_path_factory.mktemp("libraries") / "both"
    index(photos, folder, load_model(checkpoint))
    report = index(photos, folder, load_model(clip))
    assert (report.added, len(report.beside)) == (4, 1)
    return folder


def test_a_query_finds_images_by_cosine(library, clip) -> None:
    model = load_model(clip)
    searcher = Searcher(library, model)
    opened = Library.open(library, model)
    for colour in COLOURS:
        query = f"a {colour} square"
        hits = searcher.search(query, "dot").hits
        assert Path(hits[0].path).stem == colour
        cosine = torch.cosine_similarity(model.text_vectors([query]), opened.pooled())
        order = cosine.argsort(descending=True).tolist()
        assert [hit.row for hit in hits] == order
        assert [hit.score for hit in hits] == pytest.approx(cosine[order].tolist(), abs=1e-6)
    assert searcher.search(query) == searcher.search(query, "dot"), "what a dual encoder answers by default"
    assert len(searcher.search("a " * 100 + "red square 猫", top=2).hits) == 2


def test_an_unsupported_engine_is_refused(library, clip, checkpoint) -> None:
    dual, captioner = load_model(clip), load_model(checkpoint)
    assert engines_of(dual) == ["dot"]
    assert engines_of(captioner) == ["likelihood", "inversion", "captions"]
    for engine in ("likelihood", "inversion"):
        with pytest.raises(UsageError, match=r"colour_clip@.* is not a captioner"):
            search("a red square", library, dual, engine)
    with pytest.raises(UsageError, match=r"has no shared space.* use likelihood or inversion or captions"):
        search("a dog", library, captioner, "dot")
    with pytest.raises(UsageError, match=r"no engine is called 'magic'.*dot"):
        search("a dog", library, dual, "magic")


def test_both_models_answer_from_one_library(ask, library, photos, clip, checkpoint) -> None:
    place = ("--library", library)
    _, lines, _ = ask("search", "a blue square", *place, "--model", clip)
    assert Path(lines[0]["path"]).stem == "blue"
    assert ask("search", "a blue square", *place, "--model", clip, "--engine", "dot")[1] == lines
    _, found, err = ask("search", "a dog", *place, "--model", checkpoint)
    assert found == ask("search", "a dog", *place, "--model", checkpoint, "--engine", "likelihood")[1]
    assert len(found) == 4
    assert err == ""
    for model in (clip, checkpoint):
        status, lines, _ = ask("similar", photos / "red.png", *place, "--model", model)
        assert (status, len(lines)) == (0, 3)
    assert Searcher(library).library.name.startswith("show_and_tell@"), "whose captions are stored"
    (hit,) = ask("search", "poppy", *place, "--engine", "captions")[1]
    assert Path(hit["path"]).stem == "red"
    assert ask("library", "verify", *place)[0] == 0


def test_a_model_that_does_not_caption_stores_what_people_wrote(library, clip) -> None:
    opened = Library.open(library, load_model(clip))
    assert {p.path.stem: p.captions for p in opened.rows()}["red"] == ("a poppy",)
    assert [p.caption for p in opened.rows()] == [None] * 4
    assert [m.path.stem for m in opened.full_text("poppy")] == ["red"]


def test_a_set_that_is_behind_is_reported(ask, clip, checkpoint, tmp_path) -> None:
    photos, library = tmp_path / "photos", tmp_path / "library"
    draw(photos / "red.png", COLOURS["red"])
    place = ("--library", library)
    assert ask("index", photos, *place, "--model", checkpoint)[0] == 0
    status, (counts,), err = ask("index", photos, *place, "--model", clip)
    assert (status, counts["added"]) == (0, 1)
    forget = err[err.index("library forget") :].split()
    assert ask("search", "a red square", *place, "--model", clip)[2] == ""
    draw(photos / "blue.png", COLOURS["blue"])
    assert ask("index", photos, *place, "--model", checkpoint)[2] == "", "nothing is new beside"
    for verb in (["search", "a red square"], ["similar", photos / "red.png"]):
        _, lines, err = ask(*verb, *place, "--model", clip)
        assert [Path(line["path"]).stem for line in lines] == ["red"][: 1 if verb[0] == "search" else 0]
        assert err.startswith("show_and_tell@")
        assert "since colour_clip@" in err
    ask("index", photos, *place, "--model", clip)
    assert [len(ask("search", "a red square", *place, "--model", m)[1]) for m in (clip, checkpoint)] == [2, 2]

    assert ask(*forget)[0] == 0
    status, _, err = ask("search", "a dog", *place, "--model", checkpoint)
    assert status == 1
    assert "has no vectors of show_and_tell@" in err
    assert "colour_clip@" in err
    status, _, err = ask("library", "forget", *place, "clip")
    assert (status, "it has those of colour_clip@" in err) == (2, True)


def test_unknown_words_are_named_and_ignored(ask, photos, tmp_path) -> None:
    tokenizer = WordTokenizer.train(CAPTIONS)
    torch.manual_seed(0)
    system = VSE(VSEConfig(vocab_size=len(tokenizer), word_width=8, width=16))
    with torch.no_grad():
        system.word_embedding.weight[tokenizer.unknown] = 1e4
    save_checkpoint(
        tmp_path / "vse",
        system,
        record={"recipe": "vse"},
        tokenizer_json=tokenizer.to_json(),
        preprocess={"backbone": "efficientnet_lite0", "version": "squash224-v1"},
        card="# random\n",
    )
    place = ("--library", tmp_path / "library", "--model", tmp_path / "vse")
    assert ask("index", photos, *place)[0] == 0
    status, lines, err = ask("search", "a zebra dog", *place)
    assert status == 0
    assert [line["score"] for line in lines] == sorted((line["score"] for line in lines), reverse=True)
    assert all(-1 <= line["score"] <= 1 for line in lines), "the unknown word's vector was read"
    assert "does not know were ignored: zebra" in err
    known = ask("search", "a dog", *place)[1]
    assert [(line["path"], line["score"]) for line in lines] == [(k["path"], k["score"]) for k in known]
    assert ask("search", "zebra", *place)[0] == 2


def test_the_demo_needs_a_captioner(ask, photos, clip, tmp_path) -> None:
    status, _, err = ask("demo", photos, "--output", tmp_path / "out", "--model", clip)
    assert (status, "is not a captioner" in err) == (2, True)
    assert not (tmp_path / "out").exists()


def test_a_model_without_images_is_refused(clip, photos, tmp_path) -> None:
    model = load_model(clip)
    model.system = torch.nn.Linear(1, 1)
    with pytest.raises(UsageError, match="is not an image encoder"):
        index(photos, tmp_path / "library", model)
    with pytest.raises(UserError, match="there is no library"):
        search("a dog", tmp_path / "library", model)
