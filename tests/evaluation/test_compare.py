"""Models of pairs and two towers side by side, on the same images, with their time by part."""

import base64
import io
import json
from dataclasses import fields

import pytest
import torch
from PIL import Image

from showtell.checkpoint.save import save_checkpoint
from showtell.datasets.caches import pixel_preprocess
from showtell.errors import UsageError
from showtell.evaluation.compare import compare
from showtell.html.bars import COLOURS as PARTS
from showtell.html.bars import draw_bars
from showtell.pipelines.model import load_model
from showtell.systems.vilt_finetuned import ViLTAnswererConfig
from support.dual import COLOURS
from support.library import draw
from support.pairs import untrained_vilt


@pytest.fixture(scope="module")
def captioned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captioned")
    lines = []
    for name, colour in COLOURS.items():
        draw(folder / "val" / f"{name}.png", colour)
        lines.append(json.dumps({"file_name": f"{name}.png", "captions": [f"a {name} square"]}))
    (folder / "val" / "metadata.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def vilt(tmp_path_factory):
    return untrained_vilt(tmp_path_factory.mktemp("vilt") / "model")


def test_both_kinds_are_measured_on_the_same_images(captioned, clip, vilt):
    towers, pairs = compare([load_model(clip, "cpu"), load_model(vilt, "cpu")], captioned)
    assert towers.images == pairs.images == 4
    assert towers.text_to_image == towers.image_to_text == {"recall1": 1, "recall5": 1, "recall10": 1}
    assert pairs.text_to_image["recall5"] == 1
    assert (towers.system, pairs.system) == ("CLIP", "ViLT")
    for one in (towers, pairs):
        assert one.milliseconds.keys() == {"text", "image", "fusion"}
        assert one.milliseconds["text"] > 0
        assert one.milliseconds["image"] > 0
    assert pairs.parameters == sum(p.numel() for p in load_model(vilt, "cpu").system.parameters())


def test_flops_are_those_of_the_matrix_products(captioned, vilt):
    model = load_model(vilt, "cpu")
    (found,) = compare([model], captioned)
    c, ids = model.system.config, model.tokenizer.encode("a red square")
    patches = (c.image_size // c.patch_size) ** 2
    tokens = len(ids) + 1 + patches
    block = 4 * c.width**2 + 2 * c.width * c.mlp_dim
    attention = 2 * tokens**2 * c.width
    last = (3 * tokens + 1) * c.width**2 + 2 * c.width * c.mlp_dim + 2 * tokens * c.width  # for [CLS] alone
    expected = patches * 3 * c.patch_size**2 * c.width + (c.depth - 1) * (tokens * block + attention) + last
    expected += c.width**2 + 2 * c.width  # pooler, matching
    assert found.flops == 2 * expected


def test_a_model_without_both_is_refused_and_a_split_without_images(captioned, checkpoint, clip, ask):
    status, _, said = ask("compare", checkpoint, "--data", captioned)
    assert status == 2
    assert "compares no images with texts" in said
    models = iter([load_model(checkpoint, "cpu"), None])
    with pytest.raises(UsageError, match="compares no images with texts"):
        compare(models, captioned)
    assert next(models, "loaded") is None
    status, _, said = ask("compare", clip, "--data", captioned, "--split", "test")
    assert status == 1
    assert "no captioned image in the split 'test'; it has " in said


def test_one_image_is_nothing_to_find(captioned, clip, tmp_path, ask):
    lines = (captioned / "val" / "metadata.jsonl").read_text().splitlines()
    for count, whose in ((1, "has one captioned image in the split 'val'"), (2, "one alone of 2 images")):
        data = tmp_path / f"{count}"
        name = json.loads(lines[0])["file_name"]
        (data / "val").mkdir(parents=True)
        (data / "val" / name).write_bytes((captioned / "val" / name).read_bytes())
        for line in lines[1:count]:
            (data / "val" / json.loads(line)["file_name"]).write_bytes(b"no image")
        (data / "val" / "metadata.jsonl").write_text("\n".join(lines[:count]))
        status, _, said = ask("compare", clip, "--data", data)
        assert (status, whose in said) == (1, True)
        status, (figures,), said = ask("evaluate", "--model", clip, "--data", data)
        assert (status, figures["images"]) == (0, 1)
        assert "one captioned image in the split 'val': any model finds it" in said
    assert "any model finds it" not in ask("evaluate", "--model", clip, "--data", captioned)[2]


def test_the_verb_prints_json_and_writes_three_files(captioned, clip, vilt, tmp_path, ask):
    out = tmp_path / "out"
    status, lines, said = ask("compare", clip, vilt, "--data", captioned, "--output", out)
    assert status == 0
    assert [line["system"] for line in lines] == ["CLIP", "ViLT"]
    assert str(out / "compare.png") in said
    assert json.loads((out / "compare.json").read_text()) == lines
    table = (out / "compare.md").read_text().splitlines()
    assert table[0].startswith("| model | parameters, M | GFLOPs | text, ms | image, ms | fusion, ms |")
    assert len({line.count("|") for line in table[:4]}) == 1
    assert Image.open(out / "compare.png").format == "PNG"
    page = (out / "compare.html").read_text()
    assert page.count("<tr>") == table[0].count("|") - 1
    assert f"<tr><th>model</th><td>{lines[0]['model']}</td><td>{lines[1]['model']}</td></tr>" in page
    assert "questions answered right" not in page, "a column that no model fills is left out"
    assert base64.b64encode((out / "compare.png").read_bytes()).decode() in page


@pytest.fixture
def asked(tmp_path):
    rows = []
    for name, colour in COLOURS.items():
        draw(tmp_path / "questions" / f"{name}.png", colour)
        rows.append({"image": f"{name}.png", "question": "a red square", "answer": "red", "split": "val"})
    (tmp_path / "questions" / "val.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path / "questions"


@pytest.fixture
def answerer(tmp_path, vilt):
    """The encoder of the ViLT with a head that always says red."""
    before = load_model(vilt, "cpu")
    given = vars(before.system.config)
    names = {one.name for one in fields(ViLTAnswererConfig)} & given.keys()
    answers = {"num_classes": 2, "class_names": ("red", "blue")}
    system = ViLTAnswererConfig(**{name: given[name] for name in names} | answers).build()
    with torch.no_grad():
        system.classifier[3].bias[:] = torch.tensor([9.0, -9.0])
    save_checkpoint(
        tmp_path / "answerer",
        system,
        record={"recipe": "vqa_vilt"},
        tokenizer_json=before.tokenizer.to_json(),
        preprocess=pixel_preprocess(16),
        card="",
    )
    return tmp_path / "answerer"


def test_a_model_that_answers_stands_beside_one_that_finds(captioned, vilt, asked, answerer, tmp_path, ask):
    given = ["--data", captioned, "--questions", asked, "--output", tmp_path / "out"]
    status, (finds, answers), _ = ask("compare", vilt, answerer, *given)
    assert status == 0
    assert (finds["answers"], answers["text_to_image"]) == ({}, {})
    assert answers["answers"]["accuracy"] == 1.0
    assert (answers["questions"], answers["images"]) == (4, 4)
    assert answers["milliseconds"].keys() == {"text", "image", "fusion"}
    assert answers["flops"] > 0
    table = (tmp_path / "out" / "compare.md").read_text()
    assert "Answers to 4 questions." in table
    assert table.splitlines()[0].endswith("| questions answered right |")
    for data in (captioned, asked):  # questions given as captions are not read as those
        status, _, said = ask("compare", answerer, "--data", data)
        assert status == 2
        assert "give some with --questions" in said
    status, _, said = ask("compare", vilt, "--questions", asked)
    assert status == 2
    assert "give some with --data" in said


def test_a_bar_is_as_long_as_its_part():
    rows = [{"a": 3.0, "b": 1.0}, {"a": 1.0, "b": 1.0}]
    image = Image.open(io.BytesIO(draw_bars("time", ["one", "two"], rows, "ms"))).convert("RGB")
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(*image.size[::-1], 3)
    first = torch.tensor([int(PARTS[0][i : i + 2], 16) for i in (1, 3, 5)], dtype=torch.uint8)
    long, short = ((pixels[y] == first).all(-1).sum().item() for y in (115, 185))
    assert long == pytest.approx(3 * short, abs=3)
    with pytest.raises(ValueError, match="nothing to draw"):
        draw_bars("time", [], [], "ms")
