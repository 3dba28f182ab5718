"""`showtell read`: texts of images with their tokens, what is unsure, and masks painted back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from showtell.checkpoint.card import uses_of
from showtell.checkpoint.save import save_checkpoint
from showtell.data.batch import Batch
from showtell.data.images.page import Page, ink_of
from showtell.data.images.render.draw import draw
from showtell.data.images.render.fonts import BUILT_IN
from showtell.data.images.render.style import Style
from showtell.data.images.tiles import Tile
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.rendered_texts import RenderedTexts
from showtell.errors import UsageError
from showtell.library.search import Library
from showtell.pipelines.model import load_model
from showtell.pipelines.read import _joined, read
from showtell.pipelines.reconstruct import _masks, reconstruct
from showtell.recipes.vlp import vlp_mini
from showtell.serve.served import Served
from showtell.tasks.reading import Reading, ReadToken

TEXTS = ["the cat sat on the mat", "a dog ran in the park", "two birds sang", "the fish swam all day"]
WEIGHTS = {"pointing_weight": 1.0, "masked_weight": 0.2}


def tokenizer() -> SubwordTokenizer:
    return SubwordTokenizer.train(TEXTS * 2, "bpe", 300)


def untrained(**changes):
    torch.manual_seed(0)
    config = replace(vlp_mini(1).system, width=32, depth=1, num_heads=2, mlp_dim=64, max_length=12, **changes)
    system = config.with_tokenizer(tokenizer()).build()
    torch.nn.init.constant_(system.output.bias[tokenizer().end], -30.0)  # as many tokens as there may be
    return system


def save(folder: Path, system, page: Page) -> Path:
    save_checkpoint(
        folder,
        system,
        record={"recipe": "vlp_mini"},
        tokenizer_json=tokenizer().to_json(),
        preprocess={"version": page.version},
        card="",
    )
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """Untrained, with every token taken for a mask."""
    system = untrained(**WEIGHTS)
    torch.nn.init.constant_(system.is_masked.bias, 20.0)
    return save(tmp_path_factory.mktemp("model") / "vlp", system, Page(64, 128, 8))


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("image") / "cat.png"
    Image.fromarray(draw(TEXTS[0], Style(BUILT_IN), None).pixels).save(path)
    return path


def test_each_token_comes_with_its_probability_and_place(ask, model, image) -> None:
    status, (found,), said = ask("read", image, "--model", model)
    assert status == 0
    assert found.keys() == {"path", "text", "tokens", "logprob_per_token", "sure", "parts", "model"}
    assert found["parts"] == [[0, 0, *Image.open(image).size]]
    assert found["path"] == str(image)
    assert "".join(token["text"] for token in found["tokens"]) == found["text"]
    width, height = Image.open(image).size
    scale = Page(64, 128, 8).fit(np.asarray(Image.open(image).convert("L"))).scale
    for token in found["tokens"]:
        assert token.keys() == {"text", "probability", "masked", "box"}
        assert 0 < token["probability"] <= 1
        assert token["masked"] is True
        left, top, right, bottom = token["box"]
        assert left < right <= width + 128 / scale
        assert top < bottom <= height + 64 / scale
    assert not found["sure"]
    assert "unsure" in said
    assert str(image) in said


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_read(ask, model, image, tmp_path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nno")
    status, found, said = ask("read", broken, image, "--model", model)
    assert (status, len(found)) == (1, 1)
    assert "broken.png" in said


def test_a_blank_image_and_a_photograph_are_said_to_be_what_they_are(ask, model, tmp_path) -> None:
    Image.new("RGB", (80, 40), "white").save(tmp_path / "blank.png")
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    status, found, said = ask("read", tmp_path, "--model", model)
    assert status == 0
    assert [one["sure"] for one in found] == [False, False]
    assert "blank.png: the image is blank" in said
    assert "photo.png: unsure" in said


def test_a_model_is_asked_for_and_must_read(ask, image, clip) -> None:
    status, _, said = ask("read", image)
    assert status == 2
    assert "vlp_mini" in said
    status, _, said = ask("read", image, "--model", clip)
    assert status == 2
    assert "text reader" in said


def test_a_reader_describes_no_images(ask, model, image, tmp_path) -> None:
    library = tmp_path / "library"
    status, (indexed,), _ = ask("index", image.parent, "--library", library, "--model", model)
    assert (status, indexed["added"]) == (0, 1)
    assert Library.open(library).rows()[0].caption is None
    search = ["search", "a cat", "--library", library]
    labels = ["classify", image, "--labels", "a cat,a dog"]
    for command in (["caption", image], search, [*search, "--engine", "likelihood"], labels):
        status, out, said = ask(*command, "--model", model)
        assert (status, out) == (2, [])
        assert "showtell read" in said
    assert Served({"reader": load_model(model, "cpu")}).described("reader")["can"] == ["embeds_images"]


def test_the_card_of_a_reader_says_what_it_reads(model) -> None:
    (found,) = uses_of(load_model(model, "cpu").system)
    assert "showtell read" in found[0]


def test_masks_are_painted_over_in_place(ask, model, image, tmp_path) -> None:
    output = tmp_path / "again.png"
    status, (found,), said = ask("read", image, "--model", model, "--reconstruct", output)
    assert status == 0
    assert f"{output}: masked tokens painted back: {len(found['tokens'])}" in said
    before, after = (np.asarray(Image.open(path).convert("L")).astype(int) for path in (image, output))
    assert before.shape == after.shape
    assert (before != after).any()
    assert [path.name for path in tmp_path.iterdir()] == ["again.png"]


def test_the_box_of_a_mask_goes_on_to_a_gap_or_the_token_after_it() -> None:
    ink = np.zeros((40, 100), bool)
    ink[5:15, 10:30] = ink[5:15, 33:41] = ink[5:15, 50:60] = True  # a gap of 3 pixels, one of 9
    ink[25:35, 10:20] = True

    def boxes(*tokens: ReadToken):
        return [token.box for token in _masks(tokens, ink)]

    mask = ReadToken(" the", 0.1, True, (9.0, 0.0, 20.0, 20.0))
    shown = ReadToken(" dog", 0.9, False, (50.0, 0.0, 60.0, 20.0))
    assert boxes(mask, shown) == [(9.0, 0.0, 41.0, 20.0)]
    assert boxes(mask, replace(shown, box=(33.0, 0.0, 60.0, 20.0))) == [(9.0, 0.0, 33.0, 20.0)]
    assert boxes(mask, replace(shown, box=(10.0, 20.0, 20.0, 40.0))) == [(9.0, 0.0, 41.0, 20.0)]
    assert boxes(shown, mask) == [(9.0, 0.0, 41.0, 20.0)]
    wide = replace(mask, box=(9.0, 0.0, 99.0, 20.0))
    assert boxes(wide) == [wide.box]


def test_several_images_go_to_a_folder(ask, model, image, tmp_path) -> None:
    other = tmp_path / "dog.png"
    Image.fromarray(draw(TEXTS[1], Style(BUILT_IN), None).pixels).save(other)
    status, _, said = ask("read", image, other, "--model", model, "--reconstruct", tmp_path / "one.png")
    assert status == 2
    assert "folder" in said
    status, _, _ = ask("read", image, other, "--model", model, "--reconstruct", tmp_path / "all")
    assert status == 0
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["cat.png", "dog.png"]


@pytest.mark.slow
def test_lines_that_fill_several_pages_are_joined(reader, tmp_path) -> None:
    lines = [draw(text, Style(BUILT_IN, 20), None).pixels for text in TEXTS]
    widest = max(line.shape[1] for line in lines)
    page = [np.pad(line, ((0, 0), (0, widest - line.shape[1])), constant_values=255) for line in lines]
    Image.fromarray(np.concatenate(page)).save(tmp_path / "page.png")
    (found,) = read(tmp_path / "page.png", load_model(reader, "cpu"))
    assert len(found.parts) == len(TEXTS)
    assert found.text.strip() == " ".join(TEXTS)


@pytest.mark.slow
def test_a_mask_written_by_hand_in_another_size_is_filled(reader, tmp_path) -> None:
    # benchmarks/masks_by_hand.py has the sizes that a trained reader takes for masks.
    before, _ = TEXTS[0].rsplit(" ", 1)
    shown = draw(before + " xxxxx", Style(BUILT_IN, 20), None, [(len(before) + 1, len(before) + 6)])
    image = Image.fromarray(shown.pixels)
    left = round(float(shown.boxes[0, 0]))
    image.paste(255, (left, 0, image.width, image.height))
    mask = Image.fromarray(draw("[MASK]", Style(BUILT_IN, 16), None).pixels)
    whole = Image.new("L", (left + mask.width, max(image.height, mask.height)), 255)
    whole.paste(image, (0, 0))
    whole.paste(mask, (left - 8, (image.height - mask.height) // 2))
    whole.save(tmp_path / "masked.png")
    (found,) = read(tmp_path / "masked.png", load_model(reader, "cpu"))
    assert found.text.strip() == TEXTS[0]
    assert found.tokens[-1].masked


@pytest.mark.parametrize(("masked", "sure"), [(True, True), (False, False)])
def test_what_a_mask_hides_makes_a_reading_no_less_sure(model, masked, sure) -> None:
    loaded = load_model(model, "cpu")
    page = Page(64, 128, 8).fit(draw(TEXTS[0], Style(BUILT_IN), None).pixels)
    tokens = [ReadToken("a", 0.9, False, None), ReadToken(" dog", 0.05, masked, None)]
    found = _joined("a.png", [(Tile(0, 0, 9, 9), page, Reading("a dog", tokens, -2.0))], loaded)
    assert (found.sure, found.logprob_per_token) == (sure, -2.0)


def test_a_model_that_does_not_point_cannot_reconstruct(image, tmp_path) -> None:
    folder = save(tmp_path / "plain", untrained(pointing_weight=0.0, masked_weight=0.0), Page(64, 128, 8))
    plain = load_model(folder, "cpu")
    (found,) = read([image], plain)
    assert all(token.masked is None and token.box is None for token in found.tokens)
    with pytest.raises(UsageError, match="pointing_weight"):
        reconstruct(found, plain, tmp_path / "again.png")


def test_an_output_that_is_no_image_is_refused(model, image, tmp_path) -> None:
    loaded = load_model(model, "cpu")
    (found,) = read([image], loaded)
    with pytest.raises(UsageError, match=r"\.png"):
        reconstruct(found, loaded, tmp_path / "again.txt")


def test_a_model_that_draws_paints_its_own_pixels(image, tmp_path) -> None:
    system = untrained(**WEIGHTS, pixel_weight=1.0)
    torch.nn.init.constant_(system.is_masked.bias, 20.0)
    with torch.no_grad():  # all paper
        system.draw.weight.zero_()
        system.draw.bias.fill_(1.0)
    folder = save(tmp_path / "drawing", system, Page(64, 128, 8))
    model = load_model(folder, "cpu")
    (found,) = read([image], model)
    back = reconstruct(found, model, tmp_path / "again.png")
    assert back.font is None
    assert back.masked == len(found.tokens)
    before, after = (np.asarray(Image.open(path).convert("L")) for path in (image, back.path))
    painted = np.zeros(before.shape, bool)
    for token in _masks(found.tokens, ink_of(before)[1]):
        left, top, right, bottom = (round(n) for n in token.box)
        painted[top:bottom, max(left, 0) : right] = True
    assert painted.any()
    assert (after[painted] == 255).all()
    assert (after[~painted] == before[~painted]).all()


def test_a_long_text_is_read_in_parts_or_refused(ask, model, tmp_path) -> None:
    pixels = draw(" ".join(TEXTS * 4), Style(BUILT_IN, 20, 20), None).pixels
    path = tmp_path / "long.png"
    Image.fromarray(pixels).save(path)
    status, (found,), said = ask("read", path, "--model", model)
    assert status == 0
    assert len(found["parts"]) > 3
    assert f"read in {len(found['parts'])} parts" in said
    assert "".join(token["text"] for token in found["tokens"]) == found["text"]
    assert len(found["tokens"]) == 10 * len(found["parts"])  # as many as there may be
    for token in found["tokens"][-10:]:  # where the last part is
        assert token["box"][1] >= found["parts"][-1][1] - 8
    status, _, said = ask("read", path, "--model", model, "--strict")
    assert status == 1
    assert "--strict" in said


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Path:
    """Overfitted to four texts, some tokens masked."""
    torch.manual_seed(0)
    run = replace(vlp_mini(1), canvas=(32, 208), mask_rate=0.15)
    config = replace(run.system, width=64, depth=1, num_heads=2, mlp_dim=128, max_length=16)
    known = tokenizer()
    system = config.with_tokenizer(known).build()
    drawn = RenderedTexts(TEXTS, known, run.rendering(12), (BUILT_IN,))
    optimiser = torch.optim.AdamW(system.parameters(), 1.5e-3, betas=(0.9, 0.98))
    recent = 1.0
    for step in range(800):
        optimiser.param_groups[0]["lr"] = 1.5e-3 * min(1.0, (step + 1) / 50)
        batch: Batch = drawn.batch([*range(4)] * 2, (step,))
        losses = system(batch).losses
        total = sum(system.loss_weights[name] * loss for name, loss in losses.items())
        optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(system.parameters(), 1.0)
        optimiser.step()
        recent = 0.95 * recent + 0.05 * (losses["text"].item() + losses["masked"].item())
        if recent < 0.03:
            break
    return save(tmp_path_factory.mktemp("reader") / "vlp", system, run.page)


@pytest.mark.slow
def test_what_was_trained_is_read_at_any_size_and_in_any_colours(reader, tmp_path) -> None:
    model = load_model(reader, "cpu")
    for number, (text, size) in enumerate(zip(TEXTS, (16, 20, 26, 40), strict=True)):
        pixels = draw(text, Style(BUILT_IN, size, inverted=number % 2 == 1), None).pixels
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.pad(pixels, 9, "edge")).save(path)
        (found,) = read(path, model)
        assert found.text.strip() == text
        assert found.sure
        assert not any(token.masked for token in found.tokens)


@pytest.mark.slow
def test_a_masked_word_is_filled_and_found_where_it_stands(reader, tmp_path) -> None:
    known = tokenizer()
    spans = known.pieces(TEXTS[0]).offsets
    hidden = len(spans) - 1  # what comes before says which of the texts it is
    drawing = draw(TEXTS[0], Style(BUILT_IN, 20), None, spans, {hidden})
    Image.fromarray(drawing.pixels).save(tmp_path / "masked.png")
    model = load_model(reader, "cpu")
    (found,) = read(tmp_path / "masked.png", model)
    assert found.text.strip() == TEXTS[0]
    assert [token.masked for token in found.tokens] == [n == hidden for n in range(len(spans))]
    left, _, right, _ = drawing.boxes[hidden]
    x = (found.tokens[hidden].box[0] + found.tokens[hidden].box[2]) / 2
    assert left < x < right
    assert reconstruct(found, model, tmp_path / "whole.png").masked == 1
