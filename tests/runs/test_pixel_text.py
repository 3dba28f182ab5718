"""Pixel-text runs: the curriculum, what is held out, and a model that reads."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from showtell.checkpoint.load import load_checkpoint
from showtell.data.batch import Batch, ImageBatch
from showtell.data.images.render.fonts import BUILT_IN, Font
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets import rendered_texts
from showtell.datasets.rendered_texts import RenderedTexts, divide_fonts, trimmed
from showtell.errors import UsageError
from showtell.recipes import launch as training
from showtell.recipes.vlp import vlp_base, vlp_mini
from showtell.runs import pixel_text
from showtell.runs.pixel_text import token_figures
from showtell.systems.gpt import GPTConfig
from showtell.systems.vlp import VLPConfig

SMALL = [
    "system.width=32",
    "system.depth=1",
    "system.num_heads=2",
    "system.mlp_dim=64",
    "system.vocab_size=280",
    "train.batch_size=4",
    "train.steps=6",
    "train.warmup_steps=2",
    "train.validate_every=3",
    "train.checkpoint_every=3",
]
ANIMALS = ["cat", "dog", "bird", "fish"]


@pytest.fixture(autouse=True)
def _one_font(monkeypatch):
    """Pillow's own font, which every machine has."""
    monkeypatch.setattr(pixel_text, "fonts", lambda: (BUILT_IN,))


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("texts") / "animals.txt"
    file.write_text("\n".join(f"The {ANIMALS[n % 4]} number {n} sat on the mat all day." for n in range(40)))
    return file


@pytest.fixture(scope="module")
def trained(texts, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("run") / "vlp"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixel_text, "fonts", lambda: (BUILT_IN,))
        training.train_model("vlp_mini", texts, output, SMALL, device="cpu")
    return output


def test_the_curriculum_goes_through_its_stages_by_their_shares() -> None:
    run = replace(vlp_base(1), train=replace(vlp_base(1).train, steps=200), shares=(0.3, 0.3, 0.4))
    assert [run.stage(step) for step in (0, 59, 60, 119, 120, 199)] == [0, 0, 1, 1, 2, 2]
    uneven = replace(run, curriculum=(50, 144), shares=(3, 1))
    assert [uneven.stage(step) for step in range(0, 200, 25)] == [0] * 6 + [1] * 2
    assert [run.rendering(tokens).size.name for tokens in run.curriculum] == ["small", "medium", "large"]


def test_batches_are_of_the_stage_of_their_step(texts) -> None:
    run = training.apply(vlp_mini(100), [*SMALL, "train.steps=40", "train.accumulate=2"])
    run = replace(run, curriculum=(3, 9), shares=(0.5, 0.5))
    job = run.prepare(run.read(texts), "cpu")
    lengths = [int(job.load_batch(index).texts.keep.sum(1).max()) - 2 for index in range(80)]
    assert max(lengths[:40]) <= 3 < max(lengths[40:]) <= 9
    one, other = job.load_batch(50), job.load_batch(50)
    assert torch.equal(one.images.pixels, other.images.pixels)
    assert torch.equal(one.texts.ids, other.texts.ids)
    assert not torch.equal(one.texts.ids, job.load_batch(51).texts.ids[: len(one.texts)])


@pytest.mark.parametrize(
    "wrong",
    [
        {"shares": (1.0,)},
        {"shares": (0.5, 0.5, 0.0)},
        {"curriculum": (0, 10, 20)},
        {"curriculum": (8, 20, 51)},
        {"mask_rate": 1.5},
        {"canvas": (0, 384)},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        replace(vlp_mini(1), **wrong)


def test_a_system_that_does_not_read_is_refused(texts) -> None:
    run = replace(vlp_mini(1), system=GPTConfig())
    with pytest.raises(UsageError, match="TextReader"):
        run.prepare(run.read(texts), "cpu")


def test_a_run_leaves_a_model_with_its_figures(trained) -> None:
    checkpoint = load_checkpoint(trained)
    assert checkpoint.record["validation"].keys() == {"loss", "accuracy", "masked_accuracy", "cer"}
    assert checkpoint.preprocess == {"version": "page128x384of8-v1"}
    card = (trained / "model" / "README.md").read_text()
    assert "character error rate" in card
    assert "held out" in card


def test_a_resumed_run_equals_an_uninterrupted_one(trained, texts, tmp_path, monkeypatch) -> None:
    cut, drawn = tmp_path / "cut", RenderedTexts.batch

    def stops(self, items, seed):
        if seed == (0, 4):
            raise KeyboardInterrupt
        return drawn(self, items, seed)

    with monkeypatch.context() as patch:
        patch.setattr(RenderedTexts, "batch", stops)
        with pytest.raises(KeyboardInterrupt):
            training.train_model("vlp_mini", texts, cut, SMALL, device="cpu")
    assert json.loads((cut / "state" / "progress.json").read_text())["progress"]["step"] == 3
    training.train_model("vlp_mini", texts, cut, SMALL, resume=True, device="cpu")
    whole, resumed = (load_checkpoint(output).system.state_dict() for output in (trained, cut))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_all_styles_of_a_family_are_on_one_side(monkeypatch) -> None:
    fonts = tuple(Font(f"{n} {s}", f"/f/Family{n}-{s}.ttf") for n in range(60) for s in ("Bold", "Italic"))
    seen, unseen = divide_fonts(fonts)
    assert {*seen} | {*unseen} == {*fonts}
    assert 0 < len(unseen) < 30
    assert not {font.name.split()[0] for font in seen} & {font.name.split()[0] for font in unseen}
    monkeypatch.setattr(rendered_texts, "FONTS_HELD_OUT", 1.0)
    assert divide_fonts((BUILT_IN,)) == ((BUILT_IN,), ())


def test_white_after_the_last_ink_is_trimmed_to_whole_cells() -> None:
    pixels = torch.full((2, 3, 128, 384), 255, dtype=torch.uint8)
    pixels[0, :, 4:30, 4:100] = 0
    pixels[1, :, 4:20, 4:130] = 0
    cut = trimmed(Batch(ImageBatch(pixels=pixels)), (16, 8)).images.pixels
    assert cut.shape == (2, 3, 48, 136)
    assert (cut == 0).sum() == (pixels == 0).sum()
    full = trimmed(Batch(ImageBatch(pixels=pixels * 0)), (16, 8))
    assert full.images.pixels.shape == pixels.shape


def test_figures_tell_masked_tokens_from_shown_ones() -> None:
    tokenizer = SubwordTokenizer.train(["the cat sat on the mat"] * 2, "bpe", 270)
    rendering = replace(vlp_mini(1), mask_rate=0.4).rendering(20)
    drawn = RenderedTexts(["the cat sat on the mat"], tokenizer, rendering, (BUILT_IN,))
    batch = drawn.batch([0, 0], (1,))

    class Knows(torch.nn.Module):
        """Reads what is shown, and takes every mask for the end."""

        def encode_images(self, batch):
            return None

        prefill = encode_images

        def teacher_forced_logits(self, memory, owner, ids, keep):
            real, masked = keep[:, 1:], batch.targets.masked[:, 1:]
            said = torch.where(masked, tokenizer.end, ids[:, 1:])[real]
            return torch.nn.functional.one_hot(said, len(tokenizer)) * 5.0

    figures = token_figures(Knows(), [batch])
    assert batch.targets.masked.any()
    assert (figures["accuracy"], figures["masked_accuracy"]) == (1.0, 0.0)
    nll = np.log(np.exp(5) + len(tokenizer) - 1)
    masked = int(batch.targets.masked.sum())
    expected = nll - 5 * (1 - masked / int(batch.texts.keep[:, 1:].sum()))
    assert figures["loss"] == pytest.approx(expected, rel=1e-4)


def test_a_batch_with_originals_differs_from_them_where_a_mask_is() -> None:
    tokenizer = SubwordTokenizer.train(["the cat sat on the mat"] * 2, "bpe", 270)
    run = replace(vlp_mini(1), system=VLPConfig(pixel_weight=1.0), mask_rate=0.8)
    batch = RenderedTexts(["the cat sat on the mat"], tokenizer, run.rendering(20), (BUILT_IN,)).batch(
        [0], (1,)
    )
    changed = (batch.images.pixels != batch.images.originals)[0, 0]
    boxes = batch.targets.boxes[0][batch.targets.masked[0]]
    boxes = boxes[~boxes.isnan().any(1)]  # of a space there is nothing to see
    assert len(boxes)
    inside = torch.zeros_like(changed)
    for left, top, right, bottom in boxes.round().int().tolist():
        inside[top:bottom, left:right] = True
        assert changed[top:bottom, left:right].any()
    assert not changed[~inside].any()
