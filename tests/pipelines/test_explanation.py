"""Explanations of every kind of model with an image input, from the file to the heat map."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from showtell.errors import UsageError
from showtell.pipelines.caption import caption as caption_images
from showtell.pipelines.explanation import explain_image
from showtell.pipelines.model import Model, load_model
from showtell.pipelines.score import floats, score_of
from support.checkpoints import refused
from support.explained import CLASSES, MODELS


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model by its kind, made once."""
    made: dict[str, Model] = {}

    def model(kind: str) -> Model:
        if kind not in made:
            folder = tmp_path_factory.mktemp("models") / kind.replace(" ", "_")
            made[kind] = load_model(MODELS[kind](folder), "cpu")
        return made[kind]

    return model


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    """A wide image, red on the left and noise on the right."""
    path = tmp_path_factory.mktemp("photo") / "wide 猫.png"
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    pixels[:, :45] = (220, 30, 30)
    Image.fromarray(pixels).save(path)
    return path


TARGETS = {"classifier": "DOG", "dual encoder": "a red square", "captioner over a CNN": "a dog"}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("baseline", ["black", "mean", "blur"])
def test_every_model_with_an_image_input_is_explained_completely(model, photo, kind, baseline) -> None:
    found = explain_image(photo, model=model(kind), target=TARGETS.get(kind), baseline=baseline)
    assert found.completeness_error <= 0.01
    (one,) = found.maps
    change = found.score - found.baseline_score
    assert np.sum(one.grid) == pytest.approx(change, abs=0.011 * abs(change) + 1e-5)
    assert abs(change) > 1e-4
    assert found.deletion.attributed[0] == pytest.approx(found.score)
    assert found.deletion.attributed[-1] == pytest.approx(found.baseline_score)


@pytest.mark.parametrize("kind", MODELS)
def test_float_pixels_give_the_vectors_that_the_model_gives(model, photo, kind) -> None:
    """What is explained is what runs, also where OpenVINO runs it otherwise."""
    one = model(kind)
    prepared = one.read(photo)
    with torch.no_grad():
        vectors = one.system.encode_images(one.image_input.differentiable(floats(prepared, "cpu"))).pooled
    torch.testing.assert_close(vectors, one.encode([prepared]).pooled, atol=1e-4, rtol=1e-4)


def test_a_class_is_explained_by_its_log_probability(model, photo) -> None:
    one = model("classifier")
    prepared = one.read(photo)
    with torch.no_grad():
        expected = one.system.classify(one.encode([prepared])).softmax(1)[0]
    for index, name in enumerate(CLASSES):
        score = score_of(one, prepared, name).score(floats(prepared, "cpu"))
        assert float(score.exp()) == pytest.approx(float(expected[index]), abs=1e-5)
    assert score_of(one, prepared).target == CLASSES[int(expected.argmax())]
    refused(lambda: score_of(one, prepared, "red pandas"), "'red panda'", "3 classes", kind=UsageError)


def test_a_caption_its_words_and_other_captions_are_scored(model, photo) -> None:
    one = model("captioner with attention")
    prepared, pixels = one.read(photo), floats(one.read(photo), "cpu")
    (best,) = one.caption_encoded(one.encode([prepared]), num=1)[0]
    whole = score_of(one, prepared)
    assert whole.target == best.text
    assert float(whole.score(pixels)) == pytest.approx(best.logprob, abs=1e-3)
    words = best.text.split()
    parts = [score_of(one, prepared, word) for word in dict.fromkeys(words)]
    assert all(part.caption.text == best.text for part in parts)
    assert [len(part.read) for part in parts] == [1] * len(parts)
    assert parts[0].read == (0,)
    first_two = score_of(one, prepared, " ".join(words[:2]))
    assert first_two.read == (0, 1)
    other = score_of(one, prepared, "a boy sitting and a dog running through")
    assert other.caption.text == other.target
    assert len(other.read) == 9  # the end is scored too
    assert float(other.score(pixels)) < float(whole.score(pixels))
    refused(lambda: score_of(one, prepared, "a womann"), "'womann'", "did you mean woman", kind=UsageError)


def test_a_dual_encoder_is_explained_by_its_cosine(model, photo) -> None:
    one = model("dual encoder")
    prepared = one.read(photo)
    image, text = one.encode_images(photo)[0], one.encode_texts("a red square")[0]
    score = score_of(one, prepared, "a red square").score(floats(prepared, "cpu"))
    assert float(score[0]) == pytest.approx(float(image @ text), abs=1e-4)
    itself = score_of(one, prepared)
    assert itself.target is None
    assert float(itself.score(floats(prepared, "cpu"))[0]) == pytest.approx(1, abs=1e-5)


def test_colour_is_found_where_it_is(model, photo) -> None:
    """ "a red square" is said of the red half of the image: its removal lowers the cosine faster."""
    found = explain_image(photo, model=model("dual encoder"), target="a red square", baseline="mean")
    assert found.deletion.area < found.deletion.random_area


@pytest.mark.parametrize("kind", ["captioner with attention", "classifier", "image encoder", "dual encoder"])
def test_attention_is_shown_by_patches(model, photo, kind, tmp_path) -> None:
    one = model(kind)
    found = explain_image(photo, tmp_path / "heat.png", one, method="attention")
    side = {"dual encoder": 2}.get(kind, 4)
    grids = np.array([each.grid for each in found.maps])
    assert grids.shape[1:] == (side, side)
    assert (grids >= 0).all()
    assert found.completeness_error is found.steps is None
    if kind == "captioner with attention":
        assert [each.token for each in found.maps] == found.target.split()
        assert grids.sum((1, 2)) == pytest.approx(1, abs=1e-5)
        word = found.target.split()[0]
        single = explain_image(photo, model=one, method="attention", target=word)
        assert [each.token for each in single.maps] == [word]
        assert np.allclose(single.maps[0].grid, grids[0])
    else:
        assert [each.token for each in found.maps] == [None]
        assert 0 < grids.sum() < 1


def test_a_reader_that_reads_nothing_is_explained_by_a_target_alone(photo, tmp_path) -> None:
    one = load_model(MODELS["reader"](tmp_path / "reader"), "cpu")
    one.system.output.bias.data[one.tokenizer.end] = 30.0
    refused(lambda: explain_image(photo, model=one), "reads no text in this image", "--target")
    assert explain_image(photo, model=one, target="a dog").explains == "log p(a dog)"


def test_a_reader_is_explained_on_its_page(model, photo, tmp_path) -> None:
    one = model("reader")
    found = explain_image(photo, tmp_path / "heat.png", one, method="attention")
    grids = np.array([each.grid for each in found.maps])
    assert grids.shape[1:] == (2, 4)
    assert len(grids) >= 1
    assert grids.sum((1, 2)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", ["CNN", "captioner over a CNN"])
def test_attention_where_there_is_none_is_refused(model, photo, kind) -> None:
    attempt = lambda: explain_image(photo, model=model(kind), method="attention")  # noqa: E731
    refused(attempt, "no attention over a grid of patches", "by gradients", kind=UsageError)


def test_the_heat_map_covers_what_the_model_sees(model, photo, tmp_path) -> None:
    for kind, same in [("image encoder", (90, 60)), ("dual encoder", (90, 60))]:
        explain_image(photo, tmp_path / "heat.png", model(kind))
        drawn = Image.open(io.BytesIO((tmp_path / "heat.png").read_bytes()))
        assert drawn.width / drawn.height == pytest.approx(same[0] / same[1], abs=0.02)
    refused(
        lambda: explain_image(photo, tmp_path / "heat.jpg", model("CNN")), "heat.jpg", ".png", kind=UsageError
    )
    assert [path.name for path in tmp_path.iterdir()] == ["heat.png"]


def test_wrong_targets_are_refused(model, photo) -> None:
    refused(
        lambda: explain_image(photo, model=model("CNN"), target="cat"), "takes no target", kind=UsageError
    )
    refused(lambda: explain_image(photo, model=model("CNN"), target=" "), "empty", kind=UsageError)


@pytest.mark.slow
def test_the_shipped_captioner_explains_a_photograph(shared_data: Path, tmp_path: Path) -> None:
    photograph = shared_data / "photos" / "1000268201_693b08cb0e.jpg"
    found = explain_image(photograph, tmp_path / "heat.png")
    (caption,) = caption_images([photograph])
    assert found.explains == f"log p({caption.captions[0].text})"
    assert found.completeness_error <= 0.01
    assert found.deletion.area < found.deletion.random_area - found.deletion.random_deviation
    looks = explain_image(
        photograph, tmp_path / "looks.png", target=caption.captions[0].text.split()[-1], method="attention"
    )
    assert np.sum(looks.maps[0].grid) == pytest.approx(1, abs=1e-4)
