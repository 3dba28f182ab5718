"""Probes of a model that reads pixels: texts are drawn, long ones on several pages."""

import json

import pytest
import torch

from showtell.checkpoint.save import save_checkpoint
from showtell.data.images.page import Page
from showtell.data.images.render.fonts import BUILT_IN
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.text_inputs import Drawn
from showtell.evaluation.probe_pages import embed_pages, pages_of
from showtell.pipelines import classify_texts as pipeline
from showtell.pipelines.model import load_model
from showtell.systems.vlp import VLPConfig

TEXTS = ["a good film of cats", "a bad film of dogs"] * 4


@pytest.fixture(scope="module")
def tokenizer() -> SubwordTokenizer:
    return SubwordTokenizer.train(TEXTS, "bpe", 290)


@pytest.fixture
def folder(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "fonts", lambda: (BUILT_IN,))
    torch.manual_seed(0)
    config = VLPConfig(
        vocab_size=len(tokenizer),
        max_length=8,
        backbone="patches_16x8",
        positions="sine_2d",
        width=16,
        depth=2,
        num_heads=2,
        mlp_dim=16,
        dec_div=1,
    )
    page = {"version": Page(32, 96, 8).version}
    json_text = tokenizer.to_json()
    save_checkpoint(
        tmp_path / "vlp", config.build(), record={}, tokenizer_json=json_text, preprocess=page, card=""
    )
    return tmp_path / "vlp"


def test_pages_hold_the_whole_text_up_to_the_most_tokens(tokenizer) -> None:
    given = Drawn(tokenizer, 3, Page(32, 96, 8), (BUILT_IN,))
    text = "a good film of cats and a bad film"
    number = len(tokenizer.pieces(text).ids)
    pages, lost, without = pages_of(text, given, 1000)
    assert "".join(pages).replace(" ", "") == text.replace(" ", "")
    assert (lost, without) == (0, False)
    assert len(pages) == -(-number // 3)
    pages, lost, _ = pages_of(text, given, 4)
    assert len(pages) == 2
    assert lost == number - 4
    pages, _, without = pages_of("猫 cats", given, 10)
    assert without
    assert "".join(pages) == "cats"


def test_the_vector_of_a_long_text_is_the_mean_of_its_pages(folder, tokenizer) -> None:
    model = load_model(folder, "cpu")
    text = "a good film of cats and a bad film of dogs"
    given = pipeline.text_input(model)
    assert isinstance(given, Drawn)
    pages, _, _ = pages_of(text, given, 1000)
    assert len(pages) > 1
    whole, pooled, cuts = embed_pages(model, [text, "a good film"], 1000)
    each, pooled_each, _ = embed_pages(model, pages, 1000)
    assert cuts.count == 0
    assert whole.shape == (2, 32)
    torch.testing.assert_close(whole[0], each.mean(0))
    torch.testing.assert_close(pooled[0], pooled_each.mean(0))
    _, _, cuts = embed_pages(model, [text])
    assert cuts.count == 1


def test_the_command_probes_it_beside_a_bag_of_words(folder, tmp_path, ask) -> None:
    for split, times in (("train", 5), ("test", 2)):
        rows = [json.dumps({"text": text, "label": text.split()[1]}) for text in TEXTS * times]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(rows))
    status, (found,), _ = ask("probe", "--data", tmp_path, "--model", folder, "--max-tokens", 20)
    assert status == 0
    assert found["baseline"] == 1.0
    assert found["accuracy"] == 1.0
    assert found["cut"] == 0
    status, _, said = ask("probe", "--data", tmp_path, "--model", folder, "--max-tokens", 0)
    assert status == 2
    assert "--max-length" in said
