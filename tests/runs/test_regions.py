"""Runs over region files: trained, asked, compared and checked; what does not match is counted."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from showtell.checkpoint.load import load_checkpoint
from showtell.cli.main import run
from showtell.data.captions.read import read_captions
from showtell.errors import UsageError, UserError
from showtell.pipelines.ask import ask as answers
from showtell.pipelines.import_model import import_model
from showtell.pipelines.index import index
from showtell.pipelines.model import load_model
from showtell.recipes.launch import train_model
from support.dual import captioned_squares
from support.regions import HEIGHT, WIDTH, some_regions, write_npz, write_tsv

SIZES = ("width=24", "depth=2", "num_heads=2", "mlp_dim=48")
QUICK = ("train.batch_size=4", "train.steps=2", "train.warmup_steps=1", "train.validate_every=0")
CAPTIONS = [*(f"system.{one}" for one in SIZES), *QUICK, "system.max_length=16", "vocabulary.max_length=16"]
STREAM = ["system.image.width=24", "system.image.num_heads=2", "system.image.depth=1", "system.pair_width=24"]


@pytest.fixture(scope="module")
def captioned(tmp_path_factory) -> tuple[Path, dict]:
    folder = captioned_squares(tmp_path_factory.mktemp("squares"))
    names = [entry.path.stem for entry in read_captions(folder).entries]
    return folder, {name: some_regions(2 + place % 3, seed=place) for place, name in enumerate(names)}


@pytest.mark.parametrize("recipe", ["uniter_mini", "vilbert_mini"])
def test_a_run_reads_regions_in_place_of_a_backbone(recipe, captioned, tmp_path, capsys, caplog):
    folder, regions = captioned
    *rest, lost = regions
    file = write_tsv(tmp_path / "r.tsv", {name: regions[name] for name in rest})
    settings = [*CAPTIONS, *(STREAM if recipe == "vilbert_mini" else []), f"regions={file}"]
    train_model(recipe, folder, tmp_path / "run", settings, device="cpu")
    assert "1 image skipped" in caplog.text
    assert f"{lost}" in caplog.text
    checkpoint = load_checkpoint(tmp_path / "run")
    assert checkpoint.system.config.feature_width == 6
    assert checkpoint.preprocess == {"regions": str(file), "version": "regions-v1"}
    assert run(["compare", str(tmp_path / "run"), "--data", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["backbone"] == ""


def test_images_that_do_not_match_are_refused(captioned, tmp_path):
    folder, regions = captioned
    write_npz(tmp_path / "r", {f"other_{name}": one for name, one in regions.items()})
    with pytest.raises(UserError, match=r"has regions in .*r, the first: .*its ids, such as other_"):
        train_model(
            "uniter_mini", folder, tmp_path / "run", [*CAPTIONS, f"regions={tmp_path / 'r'}"], device="cpu"
        )


@pytest.mark.parametrize("recipe", ["vilt_mini", "pixel_bert_mini"])
def test_a_system_without_boxes_refuses_regions(recipe, captioned, tmp_path):
    folder, regions = captioned
    file = write_tsv(tmp_path / "r.tsv", regions)
    with pytest.raises(UsageError, match="it reads no regions; leave out regions="):
        train_model(recipe, folder, tmp_path / "run", [f"regions={file}"], device="cpu")


@pytest.fixture
def asked(tmp_path) -> tuple[Path, dict]:
    """Questions whose answer is in the regions alone: all images look the same."""
    rows, regions = [], {}
    for number in range(12):
        name = f"{number}.png"
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / name)
        sign = 1 if number % 2 else -1
        features, boxes = some_regions(3, seed=number)
        regions[str(number)] = np.abs(features) * sign, boxes
        rows.append({"image": name, "question": "is it?", "answer": "yes" if number % 2 else "no"})
    for split, some in (("train", rows[:8]), ("val", rows[8:])):
        (tmp_path / f"{split}.jsonl").write_text("\n".join(map(json.dumps, some)))
    return tmp_path, regions


def test_questions_are_answered_from_regions(asked, tmp_path, capsys):
    folder, regions = asked
    file = write_tsv(tmp_path / "regions.tsv", regions)
    settings = [*(f"system.{one}" for one in SIZES), *QUICK, "train.steps=60", "train.learning_rate=0.003"]
    settings += [f"regions={file}", "system=UNITERAnswerer", "system.vocab_size=60"]
    reached = train_model("vqa_vilt", folder, tmp_path / "run", settings, device="cpu")
    assert reached["accuracy"] == 1.0
    own = write_npz(tmp_path / "own", {"9": regions["8"]})
    found = list(answers(folder / "9.png", "is it?", load_model(tmp_path / "run"), top=1))
    other = list(answers(folder / "9.png", "is it?", load_model(tmp_path / "run", regions=own), top=1))
    assert [found[0].answers[0].answer, other[0].answers[0].answer] == ["yes", "no"]
    file.rename(tmp_path / "moved.tsv")
    with pytest.raises(UserError, match=r"no longer at .*regions\.tsv; name a file of them with --regions"):
        load_model(tmp_path / "run")
    assert (
        run(["ask", str(folder / "3.png"), "is it?", "--model", str(tmp_path / "run"), "--regions", str(own)])
        == 1
    )
    assert "3.png: has no regions in own" in capsys.readouterr().err


def test_images_are_ranked_by_their_regions(captioned, clip, tmp_path, ask):
    folder, regions = captioned
    file = write_tsv(tmp_path / "r.tsv", regions)
    train_model("uniter_mini", folder, tmp_path / "run", [*CAPTIONS, f"regions={file}"], device="cpu")
    index(folder, tmp_path / "library", load_model(clip, "cpu"), captions=False)
    first = dict(list(regions.items())[:7])
    own = write_tsv(tmp_path / "own.tsv", first)
    told = ["--library", tmp_path / "library", "--engine", "rerank", "--model", tmp_path / "run"]
    status, hits, _ = ask("search", "a red square", *told, "--proposer", clip)
    assert (status, len(hits)) == (0, 10)
    status, hits, said = ask("search", "a red square", *told, "--proposer", clip, "--regions", own)
    assert (status, {Path(hit["path"]).stem for hit in hits}) == (0, set(first))
    assert f"{len(regions) - len(first)} proposed images left out" in said


def test_two_images_of_one_name_are_refused(tmp_path):
    for split, numbers in (("train", "0123"), ("val", "01")):
        (tmp_path / split).mkdir()
        for number in numbers:
            Image.new("RGB", (WIDTH, HEIGHT), int(number)).save(tmp_path / split / f"{number}.png")
            (tmp_path / split / f"{number}.txt").write_text("a square")
    file = write_tsv(tmp_path / "r.tsv", {number: some_regions(2) for number in "0123"})
    with pytest.raises(UserError, match=r"would both read the regions of '0'"):
        train_model("uniter_mini", tmp_path, tmp_path / "run", [*CAPTIONS, f"regions={file}"], device="cpu")


def test_data_check_names_what_is_wrong(captioned, tmp_path, capsys):
    folder, regions = captioned
    names = list(regions)
    features, boxes = regions[names[1]]
    changed = regions | {names[1]: (features, boxes + WIDTH), "stranger": regions[names[0]]}
    del changed[names[0]]
    file = write_tsv(tmp_path / "r.tsv", changed)
    assert run(["data", "check", str(file)]) == 1
    shown = capsys.readouterr().out
    assert f"r.tsv: tsv, regions of {len(names)} images, 6 numbers per region" in shown
    assert (
        f"image '{names[1]}': has 2 of 3 boxes" in shown or f"image '{names[1]}': has 3 of 3 boxes" in shown
    )
    assert run(["data", "check", str(folder), "--regions", str(file), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    problems = [one["what"] for one in report["problems"]]
    assert any("leave the image" in one for one in problems)
    assert "has no regions in r.tsv" in problems
    assert report["not_in_the_data"] == ["stranger"]
    good = write_tsv(tmp_path / "good.tsv", regions | {"stranger": regions[names[0]]})
    assert run(["data", "check", str(folder), "--regions", str(good)]) == 0
    assert "1 image that the data does not have: stranger" in capsys.readouterr().out
    write_tsv(good, changed)  # it is read anew
    assert run(["data", "check", str(good)]) == 1


def test_an_imported_lxmert_asks_for_regions(tmp_path, capsys):
    transformers = pytest.importorskip("transformers")
    from showtell.data.tokenizers.subword import SubwordTokenizer

    tokenizer = SubwordTokenizer.train(["is it a dog"] * 3, "wordpiece", 60, "bert")
    config = transformers.LxmertConfig(
        vocab_size=len(tokenizer),
        hidden_size=12,
        num_attention_heads=3,
        intermediate_size=20,
        l_layers=1,
        r_layers=1,
        x_layers=1,
        visual_feat_dim=6,
        max_position_embeddings=16,
        num_qa_labels=2,
    )
    transformers.LxmertForQuestionAnswering(config).save_pretrained(tmp_path / "theirs")
    (tmp_path / "theirs" / "tokenizer.json").write_text(tokenizer.to_json())
    import_model(str(tmp_path / "theirs"), tmp_path / "ours")
    with pytest.raises(UserError, match="reads regions of images; name a file of them with --regions"):
        load_model(tmp_path / "ours")
    file = write_tsv(tmp_path / "r.tsv", {"a": some_regions(3)})
    model = load_model(tmp_path / "ours", regions=file)
    assert model.read("a.png").shape == (3, 10)
    assert run(["export", str(tmp_path / "ours"), "--output", str(tmp_path / "out")]) == 0
    assert not (tmp_path / "out" / "preprocessor_config.json").exists()
