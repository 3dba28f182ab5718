"""A small BLIP learns coloured squares; then captions, search and figures work with it."""

import copy
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from showtell.checkpoint.save import save_checkpoint
from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.data.captions.read import read_captions
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.caches import pixel_preprocess
from showtell.errors import UsageError
from showtell.evaluation.evaluate import evaluate
from showtell.pipelines import bootstrap as pipeline
from showtell.pipelines.bootstrap import bootstrap
from showtell.pipelines.caption import caption
from showtell.pipelines.classify import ZeroShot
from showtell.pipelines.engine import OwnProposals
from showtell.pipelines.index import index
from showtell.pipelines.model import load_model
from showtell.pipelines.search import Searcher
from showtell.systems.blip import BLIPConfig
from showtell.systems.clip import TowerConfig
from showtell.tasks.pair_scores import pair_scores
from support.dual import COLOURS, captioned_squares
from support.library import draw
from support.pairs import untrained_vilt

SIDE = 8


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
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
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.005, 400, pct_start=0.1, cycle_momentum=False)
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        noise = torch.randint(-20, 20, (4, 3, SIDE, SIDE), generator=generator)
        pixels = (torch.tensor([*COLOURS.values()])[..., None, None] + noise).clamp(0, 255).to(torch.uint8)
        batch = Batch(ImageBatch(pixels=pixels), TextBatch(ids, keep, owner=torch.arange(4)))
        step = system(batch, generator)
        optimiser.zero_grad()
        sum(step.losses.values()).backward()
        optimiser.step()
        schedule.step()
        system.after_step(step)
    save_checkpoint(
        folder,
        system,
        record={"recipe": "blip_mini"},
        tokenizer_json=tokenizer.to_json(),
        preprocess=pixel_preprocess(SIDE),
        card="",
    )
    return folder


@pytest.fixture(scope="module")
def model(model_folder):
    return load_model(model_folder, "cpu")


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


def test_what_is_ranked_again_is_proposed_by_vectors(model, photos, tmp_path):
    """Not by the likelihood of the query, which takes ten times as long as the ranking itself."""
    index(photos, tmp_path / "library", model, captions=False)
    searcher = Searcher(tmp_path / "library", model)
    found = OwnProposals(searcher.library, model).propose("a red square", 4).hits
    assert found == searcher.search("a red square", "dot", top=4).hits


def test_a_rank_counts_the_cosine_over_its_temperature_beside_the_match(model, photos, tmp_path):
    index(photos, tmp_path / "library", model, captions=False)
    searcher, text = Searcher(tmp_path / "library", model), "a red square"
    cosines = {hit.row: hit.score for hit in searcher.search(text, "dot", top=4).hits}
    for hit in searcher.search(text, "rerank", top=4).hits:
        pixels = model.image_input.batch([model.read(hit.path)])
        with torch.inference_mode():
            image = model.system.embed_images(pixels)
        matched = pair_scores(model.system, [model.read_text(text).ids], image).item()
        scaled = cosines[hit.row] / model.system.log_temperature.exp().item()
        assert hit.score == pytest.approx(matched + scaled, abs=1e-4)


def test_of_a_system_without_temperature_the_bare_cosine_counts(model, photos, tmp_path):
    index(photos, tmp_path / "library", model, captions=False)
    library = Searcher(tmp_path / "library", model).library
    assert OwnProposals(library, model).weight == pytest.approx(float(model.system.logit_scale))
    bare = copy.deepcopy(model.system)
    del bare.log_temperature
    assert OwnProposals(library, replace(model, system=bare)).weight == 1.0


def test_labels_are_told_apart_by_the_learned_temperature(model, photos):
    labels = [f"a {colour} square" for colour in COLOURS]
    encoded = model.encode([model.read(photos / "red.png")])
    cosine = torch.cosine_similarity(encoded.pooled[:, None], model.text_vectors(labels)[None], dim=-1)
    expected = (cosine / model.system.log_temperature.exp()).softmax(1)
    torch.testing.assert_close(ZeroShot(model, labels)(encoded), expected)


@pytest.fixture
def noisy(tmp_path):
    """Squares, each with its own caption and with that of another colour."""
    names, rows = list(COLOURS), []
    for place, name in enumerate(names):
        draw(tmp_path / "noisy" / f"{name}.png", COLOURS[name])
        for colour in (name, names[place - 1]):
            rows.append({"image": f"{name}.png", "caption": f"a {colour} square", "split": "train"})
    (tmp_path / "noisy" / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path / "noisy"


def colours_of(file):
    """Each image's name with the colour of a caption, row by row, and the sources."""
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    return [(Path(row["image"]).stem, row["caption"].split()[1]) for row in rows], rows


def test_bootstrapping_keeps_what_matches_and_is_read_again(model, noisy, tmp_path):
    found = bootstrap(noisy, tmp_path / "out", model, model)
    assert (found["images"], found["unreadable"]) == (4, 0)
    assert found["kept"] == {"data": 4, "captioner": 0}, "what it writes is there already"
    assert found["dropped"] == {"data": 4, "captioner": 0}
    pairs, rows = colours_of(tmp_path / "out" / "captions.jsonl")
    assert all(name == colour for name, colour in pairs)
    assert all((row["logprob"] is None) == (row["source"] == "data") for row in rows)
    pairs, rows = colours_of(tmp_path / "out" / "dropped" / "captions.jsonl")
    assert all(name != colour for name, colour in pairs)
    assert all(row["probability"] < 0.5 for row in rows)
    again = read_captions(tmp_path / "out")
    assert len(again.entries) == 4
    assert {entry.split for entry in again.entries} == {"train"}
    assert not again.problems


def test_a_filter_may_keep_the_aspect_ratio_of_images(model, tmp_path):
    (tmp_path / "shapes").mkdir()
    for name, size in (("wide", (40, 16)), ("high", (16, 30)), ("square", (16, 16))):
        Image.new("RGB", size, COLOURS["red"]).save(tmp_path / "shapes" / f"{name}.png")
        (tmp_path / "shapes" / f"{name}.txt").write_text("a red square")
    judge = load_model(untrained_vilt(tmp_path / "vilt", "fit16x8-v1"))
    found = bootstrap(tmp_path / "shapes", tmp_path / "out", model, judge)
    assert found["images"] == 3
    assert found["kept"]["data"] + found["dropped"]["data"] == 3


def test_bootstrapping_goes_on_where_it_stopped(model, noisy, tmp_path, monkeypatch):
    bootstrap(noisy, tmp_path / "whole", model, model)
    monkeypatch.setattr(pipeline, "BATCH", 2)
    judged, judge = [], pipeline._judge

    def stops(entries, *rest):
        if judged:
            raise KeyboardInterrupt
        judged.extend(entries)
        yield from judge(entries, *rest)

    monkeypatch.setattr(pipeline, "_judge", stops)
    with pytest.raises(KeyboardInterrupt):
        bootstrap(noisy, tmp_path / "out", model, model)
    with (tmp_path / "out" / ".unfinished.jsonl").open("a") as file:
        file.write('{"image": "torn')
    monkeypatch.setattr(
        pipeline, "_judge", lambda entries, *rest: judged.extend(entries) or judge(entries, *rest)
    )
    with pytest.raises(UsageError, match="begun with other models or settings"):
        bootstrap(noisy, tmp_path / "out", model, model, num=3)
    bootstrap(noisy, tmp_path / "out", model, model)
    for name in ("captions.jsonl", "dropped/captions.jsonl"):
        before, after = (colours_of(tmp_path / out / name)[0] for out in ("whole", "out"))
        assert before == after
    with pytest.raises(UsageError, match="is not empty"):
        bootstrap(noisy, tmp_path / "out", model, model)


def test_the_verb_bootstraps_plain_images_and_names_what_it_cannot_read(
    model_folder, photos, clip, checkpoint, tmp_path, ask
):
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    (folder / "broken.png").write_bytes(b"no image")
    given = ["--captioner", model_folder, "--filter", model_folder, "--output", tmp_path / "out"]
    status, (found,), said = ask("bootstrap", folder, *given)
    assert status == 1
    assert "broken.png" in said
    for option, one in (("--captioner", clip), ("--filter", checkpoint)):
        status, _, said = ask("bootstrap", folder, *given, option, one)
        assert (status, f"choose another with {option}" in said) == (2, True)
    assert found["kept"]["captioner"] + found["dropped"]["captioner"] == 4
    written = read_captions(tmp_path / "out")
    assert sum(len(entry.captions) for entry in written.entries) == found["kept"]["captioner"] > 0
    assert {entry.split for entry in written.entries} == {None}
    assert found["unreadable"] == 1


def test_its_figures_are_those_of_a_captioner_and_of_a_dual_encoder(model, tmp_path):
    figures = evaluate(model, captioned_squares(tmp_path), queries=4)
    assert figures["search"].keys() == {"rerank", "dot", "likelihood", "captions"}
    assert figures["search"]["rerank"]["recall10"] == 1.0
    assert figures["captions"]["bleu1"] > 0.5
    assert math.isfinite(figures["perplexity"])
    assert figures["retrieval"]
