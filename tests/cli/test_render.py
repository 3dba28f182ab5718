import os

import numpy as np
import pytest
from PIL import Image


def test_a_text_is_drawn_with_masks_and_boxes(ask, tmp_path) -> None:
    status, (drawn,), _ = ask(
        "render", "A black dog runs.", "-o", tmp_path / "a.png", "--mask", 1, "--side", 128
    )
    assert status == 0
    assert drawn["drawn"] == "[MASK] [MASK] [MASK] [MASK][MASK]"
    assert [token["text"] for token in drawn["tokens"]] == ["A", "black", "dog", "runs", "."]
    pixels = np.asarray(Image.open(tmp_path / "a.png"))
    assert pixels.shape == (128, 128)
    left, top, right, bottom = map(round, drawn["tokens"][1]["box"])
    assert pixels[top:bottom, left:right].min() < 128


def test_the_seed_decides(ask, tmp_path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert (
            ask("render", "A black dog", "-o", tmp_path / f"{name}.png", "--mask", 0.5, "--seed", seed)[0]
            == 0
        )
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c


def test_what_is_asked_for_is_used(ask, tmp_path) -> None:
    options = ["--font", "aileron regular", "--size", "large", "--align", "down", "--invert"]
    _, (drawn,), _ = ask("render", "A dog", "-o", tmp_path / "a.png", *options)
    assert (drawn["font"], drawn["align"], drawn["inverted"]) == ("Aileron Regular", "down", True)
    pixels = np.asarray(Image.open(tmp_path / "a.png"))
    assert pixels[0, 0] == 0
    assert (pixels[256:] > 128).any()
    assert not pixels[:256].any()


def test_a_long_text_is_several_images_or_refused(ask, tmp_path) -> None:
    (tmp_path / "long.txt").write_text("dog, " * 150)
    arguments = ["render", "--file", tmp_path / "long.txt", "-o", tmp_path / "a.png"]
    status, drawn, said = ask(*arguments)
    assert status == 0
    assert [len(one["tokens"]) for one in drawn] == [144, 144, 12]
    assert " ".join(one["text"] for one in drawn).split() == ["dog,"] * 150
    assert "300 tokens in 3 images" in said
    assert (tmp_path / "a-3.png").exists()
    assert not (tmp_path / "a.png").exists()
    status, _, said = ask(*arguments, "--strict")
    assert status == 1
    assert "300 tokens" in said


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["", "-o", "{}/a.png"], 2, "the text is empty"),
        ([" \n", "-o", "{}/a.png"], 2, "the text is empty"),
        (["dog", "-o", "{}/a.jpg"], 2, "a.png"),
        (["-o", "{}/a.png"], 2, "either a text or --file"),
        (["dog", "--file", "x", "-o", "{}/a.png"], 2, "either a text or --file"),
        (["dog", "--font", "{}", "-o", "{}/a.png"], 1, "fonts-dejavu-core"),
        (["dog", "--font", "No such", "-o", "{}/a.png"], 2, "no font 'No such'"),
        (["dog", "--font", "{}/none.ttf", "-o", "{}/a.png"], 1, "none.ttf is not a font"),
        (["dog 猫", "--font", "Aileron Regular", "-o", "{}/a.png"], 1, "'猫' (U+732B)"),
        (["--file", "{}/none.txt", "-o", "{}/a.png"], 1, "none.txt"),
        (["--file", os.devnull, "-o", "{}/a.png"], 1, f"{os.devnull} holds no text"),
    ],
)
def test_bad_input_is_named(ask, tmp_path, arguments, status, says) -> None:
    found, _, said = ask("render", *(argument.format(tmp_path) for argument in arguments))
    assert found == status
    assert says in said
    assert not list(tmp_path.iterdir())
