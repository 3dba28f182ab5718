"""Search engines are found by their files, and a text is tokenized once."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from showtell.cli.options import engine_names, engines_help
from showtell.errors import UsageError, UserError
from showtell.library.hit import Hit
from showtell.pipelines import engines
from showtell.pipelines.engine import engine_named, engines_of
from showtell.pipelines.index import index
from showtell.pipelines.model import load_model
from showtell.pipelines.search import Searcher
from support.dual import COLOURS
from support.library import draw


class Counted:
    """A tokenizer of the `tokenizers` library that counts how often it reads a text."""

    def __init__(self, tokenizer: object) -> None:
        self._tokenizer, self.texts = tokenizer, 0

    def __getattr__(self, name: str) -> object:
        self.texts += name in ("encode", "normalizer", "pre_tokenizer", "encode_batch")
        return getattr(self._tokenizer, name)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name, colour in COLOURS.items():
        draw(folder / f"{name}.png", colour)
    return folder


@pytest.mark.parametrize("engine", ["likelihood", "inversion", "dot"])
def test_a_query_is_tokenized_once(photos, checkpoint, clip, tmp_path, engine) -> None:
    model = load_model(clip if engine == "dot" else checkpoint, "cpu")
    index(photos, tmp_path / "library", model, captions=False)
    searcher = Searcher(tmp_path / "library", model)
    counted = model.tokenizer._tokenizer = Counted(model.tokenizer._tokenizer)
    assert searcher.search("a dog on the grass", engine).hits
    assert counted.texts == 1


def test_what_a_word_tokenizer_does_not_know_is_set_apart(checkpoint) -> None:
    model = load_model(checkpoint, "cpu")
    text = model.read_text("A zebra, a DOG; Zürich!")
    assert text.ids == model.tokenizer.encode("a a dog")
    assert (text.unknown, text.known) == (("zebra", "Zürich"), True)
    nothing = model.read_text("zebra")
    assert (nothing.unknown, nothing.known) == (("zebra",), False)
    assert not model.read_text("!?").known


RERANK = '''"""Images in the order of their names.

For a test.
"""

from showtell.pipelines.engine import Answer
from showtell.protocols import Captioner


class ByName:
    """The last name first."""

    requires = (Captioner,)
    preference = 0
    needs_model = True

    def __init__(self, images, model):
        self._images = images

    def find(self, queries, top, seed=0):
        """All rows."""
        from showtell.library.hit import Hit

        rows = sorted(range(len(self._images)), reverse=True)[:top]
        for query in queries:
            yield Answer(query, [Hit(row, self._images.path(row), float(row)) for row in rows])
'''


def test_an_engine_is_one_new_file(photos, checkpoint, tmp_path, monkeypatch, ask) -> None:
    folder = shutil.copytree(engines.__path__[0], tmp_path / "engines")
    (folder / "by_name.py").write_text(RERANK)
    monkeypatch.setattr(engines, "__path__", [str(folder)])
    model = load_model(checkpoint, "cpu")
    assert engine_named("by_name").__name__ == "ByName"
    assert engines_of(model)[0] == "by_name"
    assert "by_name" in engine_names()
    assert "by_name: Images in the order of their names." in engines_help()
    arguments = ("--library", tmp_path / "library", "--model", checkpoint)
    assert ask("index", photos, *arguments, "--no-captions")[0] == 0
    _, lines, _ = ask("search", "a dog", *arguments, "--engine", "by_name")
    assert [Path(line["path"]).stem for line in lines] == ["yellow", "red", "green", "blue"]
    with pytest.raises(UsageError, match=r"there are .*by_name"):
        engine_named("magic")


def test_each_engine_says_what_it_is() -> None:
    assert engine_names() == ["captions", "dot", "inversion", "likelihood", "rerank", "tags"]
    for name in engine_names():
        engine = engine_named(name)
        assert engine.requires
        assert isinstance(engine.preference, int) == (name != "tags"), "used only when it is named"
        assert f"{name}: Images " in engines_help()


def test_hits_are_made_once(photos, clip, tmp_path, monkeypatch) -> None:
    model = load_model(clip, "cpu")
    index(photos, tmp_path / "library", model)
    searcher, made = Searcher(tmp_path / "library", model), []
    new = Hit.__init__
    monkeypatch.setattr(Hit, "__init__", lambda self, *values: made.append(values) or new(self, *values))
    assert len(searcher.search("a red square").hits) == len(made) == 4


def test_images_come_as_files_arrays_and_pil(photos, clip) -> None:
    from PIL import Image

    model = load_model(clip, "cpu")
    path = photos / "red.png"
    expected = model.encode([model.read(path)]).pooled.numpy()
    assert (expected.dtype, expected.shape) == (np.float32, (1, 8))
    opened = Image.open(path)
    array = np.asarray(opened)
    for image in (path, str(path), opened, array, [array], array[None], iter([path]), opened.convert("RGBA")):
        np.testing.assert_array_equal(model.encode_images(image), expected)
    many = model.encode_images([path, array] * 20)
    assert isinstance(many, np.ndarray)
    np.testing.assert_allclose(many, np.repeat(expected, 40, 0), atol=1e-6)
    assert model.encode_images([]).shape == (0, 8)
    for wrong in (array[..., :2], array.astype(float), array[..., 0]):
        with pytest.raises(ValueError, match=r"uint8 \[H W 3\]"):
            model.encode_images([wrong])


def test_texts_come_one_or_many(clip) -> None:
    model = load_model(clip, "cpu")
    texts = ["a red square", "the image of it", "a"]
    found = model.encode_texts(texts)
    assert (type(found), found.dtype, found.shape) == (np.ndarray, np.float32, (3, 8))
    np.testing.assert_allclose(found, np.concatenate([model.encode_texts(text) for text in texts]), atol=1e-6)
    assert torch.equal(model.text_vectors(texts), torch.from_numpy(found))


def test_captions_of_anything(checkpoint, photos) -> None:
    model = load_model(checkpoint, "cpu")
    pixels = model.read(photos / "red.png")
    assert model.caption([photos / "red.png", pixels]) == 2 * model.best_captions(model.encode([pixels]))
    assert len(model.caption(photos / "red.png")) == 1
    assert model.caption([]) == []


def test_queries_that_a_cut_makes_equal_are_said(photos, clip, tmp_path, caplog) -> None:
    model = load_model(clip, "cpu")
    index(photos, tmp_path / "library", model)
    searcher, long = Searcher(tmp_path / "library", model), "a red square " * 20
    for query in (long + "in snow", "a blue square", long + "on grass"):
        assert searcher.search(query).hits
    told = [message for message in caplog.messages if "cannot be told from" in message]
    assert len(told) == 1
    assert "on grass" in told[0]
    assert sum("1 of 1" in message for message in caplog.messages) == 2
    with pytest.raises(UserError, match="longer than the 12 tokens"):
        model.encode_texts(long, strict=True)
    assert model.encode_texts(long).shape == (1, 8)
