"""`showtell explain`: what it prints and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from showtell.checkpoint.save import save_checkpoint
from showtell.cli.main import run
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.systems.bert import BERTEncoderConfig
from support.checkpoints import CAPTIONS
from support.explained import MODELS


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.full((20, 30, 3), (220, 30, 30), np.uint8)
    pixels[:, 15:] = (30, 60, 220)
    Image.fromarray(pixels).save(tmp_path / "red.png")
    return tmp_path / "red.png"


def test_the_figures_are_printed_and_the_map_is_there(clip: Path, photo: Path, ask, tmp_path, capsys) -> None:
    heat = tmp_path / "new" / "heat.png"
    arguments = ["explain", photo, "--model", clip, "--target", "a red square", "--output", heat]
    status, (found,), said = ask(*arguments)
    assert (status, said) == (0, "")
    assert found["explains"] == "cos(image, a red square)"
    assert found["output"] == str(heat)
    assert found["completeness_error"] <= 0.01
    assert len(found["deletion"]["attributed"]) == len(found["deletion"]["removed"]) == 15
    total = sum(map(sum, found["maps"][0]["grid"]))
    assert total == pytest.approx(found["score"] - found["baseline_score"], rel=0.02, abs=1e-4)
    assert Image.open(heat).size == (320, 213)
    first = heat.read_bytes()
    assert run([*map(str, arguments)]) == 0
    out = capsys.readouterr().out
    assert f"= {found['score']:.4g}" in out
    assert "completeness error" in out
    assert "deletion area" in out
    assert out.endswith(f"{heat}\n")
    assert heat.read_bytes() == first


def test_a_word_that_the_caption_lacks_is_said_to_be_a_caption_of_its_own(photo: Path, ask, tmp_path) -> None:
    captioner = MODELS["captioner over a CNN"](tmp_path / "captioner")
    arguments = ["explain", photo, "--model", captioner, "--output", tmp_path / "heat.png"]
    caption = ask(*arguments)[1][0]["explains"].removeprefix("log p(").removesuffix(")")
    lacking = next(word for word in CAPTIONS[0].split() if word not in caption.split())
    status, (found,), said = ask(*arguments, "--target", lacking)
    assert (status, found["explains"]) == (0, f"log p({lacking})")
    assert f"'{lacking}' is not in the caption '{caption}'" in said
    status, _, said = ask(*arguments, "--target", "zebra")
    assert (status, "does not know 'zebra'; " in said, "the map explains" in said) == (2, True, False)


def test_what_cannot_be_explained_is_one_line(clip: Path, photo: Path, ask, tmp_path: Path) -> None:
    tokenizer = SubwordTokenizer.train(CAPTIONS, "wordpiece", 60)
    sizes = {"vocab_size": len(tokenizer), "width": 6, "depth": 1, "num_heads": 2, "mlp_dim": 8}
    bert, broken, heat = tmp_path / "bert", tmp_path / "broken.jpg", tmp_path / "heat.png"
    save_checkpoint(
        bert,
        BERTEncoderConfig(**sizes, max_length=5).build(),
        record={},
        tokenizer_json=tokenizer.to_json(),
        preprocess={},
        card="",
    )
    classifier = MODELS["classifier"](tmp_path / "classifier")
    broken.write_bytes(b"\xff\xd8\xff no image")
    for image, model, more, status, words in [
        (photo, bert, [], 2, "is not an image encoder"),
        (photo, classifier, ["--target", "rad panda"], 2, "did you mean 'red panda'"),
        (broken, classifier, [], 1, "broken.jpg"),
        (tmp_path / "none.jpg", classifier, [], 1, "does not exist"),
        (photo, classifier, ["--method", "magic"], 2, "magic"),
        (photo, clip, ["--target", ""], 2, "empty"),
    ]:
        found, lines, said = ask("explain", image, "--model", model, "--output", heat, *more)
        assert (found, lines) == (status, [])
        assert words in said
        assert said.count("\n") == 1
    in_a_file = tmp_path / "red.png" / "heat.png"
    status, _, said = ask("explain", photo, "--model", classifier, "--output", in_a_file)
    assert (status, said.count("\n")) == (1, 1)  # at once: of no gradient was a progress reported
    assert f"cannot write {in_a_file}" in said
    status, _, said = ask("explain", photo, "--model", classifier, "--output", tmp_path / "heat.txt")
    assert status == 2
    assert "heat.txt" in said
    assert not heat.exists()
