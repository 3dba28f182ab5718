"""A small BLIP learns coloured squares; then captions, search and figures work with it."""

import math

import pytest
import torch

from showtell.checkpoint.save import save_checkpoint
from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.caches import pixel_preprocess
from showtell.evaluation.evaluate import evaluate
from showtell.pipelines.caption import caption
from showtell.pipelines.index import index
from showtell.pipelines.model import load_model
from showtell.pipelines.search import Searcher
from showtell.systems.blip import BLIPConfig
from showtell.systems.clip import TowerConfig
from support.dual import COLOURS, captioned_squares
from support.library import draw

SIDE = 8


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blip") / "model"
    texts = [f"a {colour} square" for colour in COLOURS]
    tokenizer = SubwordTokenizer.train(texts * 3, "wordpiece", 60, "bert")
    torch.manual_seed(0)
    config = BLIPConfig(
        TowerConfig(24, 2, 48, 1, "gelu", 1e-6),
        image_size=SIDE,
        patch_size=4,
        width=24,
        depth=1,
        num_heads=2,
        mlp_dim=48,
        max_length=12,
        shared_width=12,
        queue_size=0,
        distillation=0.0,
        smoothing=0.0,
    ).with_tokenizer(tokenizer)
    system = config.build()
    ids, keep = pad([tokenizer.encode(text) for text in texts], tokenizer.pad)
    optimiser = torch.optim.AdamW(system.parameters(), lr=0.005)
    generator = torch.Generator().manual_seed(0)
    for _ in range(300):
        noise = torch.randint(-20, 20, (4, 3, SIDE, SIDE), generator=generator)
        pixels = (torch.tensor([*COLOURS.values()])[..., None, None] + noise).clamp(0, 255).to(torch.uint8)
        batch = Batch(ImageBatch(pixels=pixels), TextBatch(ids, keep, owner=torch.arange(4)))
        step = system(batch, generator)
        optimiser.zero_grad()
        sum(step.losses.values()).backward()
        optimiser.step()
        system.after_step(step)
    save_checkpoint(
        folder,
        system,
        record={"recipe": "blip_mini"},
        tokenizer_json=tokenizer.to_json(),
        preprocess=pixel_preprocess(SIDE),
        card="",
    )
    return load_model(folder, "cpu")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for name, colour in COLOURS.items():
        draw(folder / f"{name}.png", colour)
    return folder


def test_it_says_what_it_sees(model, photos):
    for found in caption(photos, model):
        colour = found.path.rpartition("/")[2].removesuffix(".png")
        assert found.captions[0].text == f"a {colour} square"
        assert -0.5 < found.captions[0].logprob < 0


def test_sampled_captions_hold_no_token_without_a_text(model, photos):
    for found in caption(photos, model, sample="nucleus", num=5, seed=1):
        assert all(math.isfinite(one.logprob) and "[" not in one.text for one in found.captions)


@pytest.mark.parametrize("engine", ["dot", "likelihood", "rerank"])
def test_a_colour_is_found(model, photos, tmp_path, engine):
    index(photos, tmp_path / "library", model, captions=False)
    searcher = Searcher(tmp_path / "library", model)
    for colour in COLOURS:
        best = searcher.search(f"a {colour} square", engine, top=1).hits[0]
        assert best.path.name == f"{colour}.png"


def test_its_figures_are_those_of_a_captioner_and_of_a_dual_encoder(model, tmp_path):
    figures = evaluate(model, captioned_squares(tmp_path), engines=["dot"], queries=4)
    assert figures["captions"]["bleu1"] > 0.5
    assert math.isfinite(figures["perplexity"])
    assert figures["retrieval"]
