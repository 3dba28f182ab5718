"""Fine-tuning runs: pixels and tokens on the same data, from scratch and from a checkpoint, and their use."""

import json
from pathlib import Path

import pytest
import torch

from showtell.checkpoint.load import load_checkpoint
from showtell.data.images.page import Page
from showtell.data.images.render.fonts import BUILT_IN
from showtell.errors import UsageError
from showtell.pipelines import classify_texts as pipeline
from showtell.pipelines.classify_texts import classify_texts
from showtell.pipelines.model import load_model
from showtell.recipes.launch import train_model
from showtell.runs import finetuning, pixel_text

SMALL = [
    *("system.width=32", "system.depth=1", "system.num_heads=2", "system.mlp_dim=64"),
    *("train.batch_size=8", "train.warmup_steps=2", "train.checkpoint_every=50", "train.learning_rate=0.003"),
]
READER = [*SMALL[:4], "system.vocab_size=300", "canvas=32,128", "train.batch_size=2", "train.steps=2"]
FIGURES = {"accuracy", "accuracy_se", "f1", "f1_se", "loss"}


@pytest.fixture(autouse=True, scope="module")
def _small_pages():
    """Pillow's own font, which every machine has, on small pages."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (finetuning, pixel_text, pipeline):
            patch.setattr(module, "fonts", lambda: (BUILT_IN,))
        patch.setattr(finetuning, "PAGE", Page(32, 128, 8))
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for split, count in (("train", 24), ("test", 8)):
        rows = [{"text": f"{['bad', 'good'][n % 2]} film {n}", "label": "-+"[n % 2]} for n in range(count)]
        _write(folder / "texts" / f"{split}.jsonl", map(json.dumps, rows))
    for split, numbers in (("train", range(24)), ("dev", range(50, 58))):
        pairs = [
            {"premise": f"A man {n} runs", "hypothesis": ["He runs", "He sits"][n % 2], "label": "yn"[n % 2]}
            for n in numbers
        ]
        _write(folder / "pairs" / f"{split}.jsonl", map(json.dumps, pairs))
        words = [f"Ann\tB-per\nsees\tO\nBob\tB-per\n{n}\tO\n" for n in numbers]
        _write(folder / "tags" / f"{split}.conll", words)
    _write(folder / "texts.txt", (f"A man runs to film number {n} today." for n in range(30)))
    return folder


def _write(file: Path, lines) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def reader(data, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("run") / "vlp"
    train_model("vlp_mini", data / "texts.txt", output, [*READER, "train.warmup_steps=1"], device="cpu")
    return output


def test_tokens_are_classified_and_the_model_is_used(data, tmp_path) -> None:
    found = train_model("classify_bert", data / "texts", tmp_path / "run", [*SMALL, "train.steps=30"])
    assert found["accuracy"] == 1.0
    record = load_checkpoint(tmp_path / "run").record
    assert record["validation"].keys() == FIGURES
    assert record["data"]["chance"] == 0.5
    assert record["data"]["val"] == 8
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "standard error of the F1" in card
    assert "always the most frequent class" in card
    good, bad = classify_texts(["good film", "bad film"], load_model(tmp_path / "run", "cpu"))
    assert (good.label, bad.label) == ("+", "-")
    assert good.probability == pytest.approx(1 - good.labels[1].probability)


def test_drawn_texts_are_classified_from_a_reader_alike_on_every_run(data, reader, tmp_path) -> None:
    settings = [*SMALL[4:], "train.steps=3"]
    outputs = [tmp_path / name for name in "ab"]
    for output in outputs:
        train_model("classify_vlp", data / "texts", output, settings, model=str(reader), device="cpu")
    one, other = (load_checkpoint(output) for output in outputs)
    assert one.hash == other.hash
    assert one.preprocess == {"version": "page32x128of8-v1"}
    assert one.record["data"]["start"] == load_checkpoint(reader).hash
    model = load_model(outputs[0], "cpu")
    long = " ".join(f"film {number} of many" for number in range(60))
    given = pipeline.text_input(model)
    pages, lost = given.prepare((long,))
    assert lost == 0
    assert " ".join(pages) == long
    (found,) = classify_texts([long], model)
    each = torch.tensor(
        [
            [label.probability for label in sorted(one.labels, key=lambda label: label.label)]
            for one in classify_texts(pages, model)
        ]
    ).log()
    mean = (each - each[:, :1]).mean(0).softmax(0)  # of the logits, which are known but for a constant
    assert {label.label: label.probability for label in found.labels}["+"] == pytest.approx(
        mean[0].item(), abs=1e-4
    )
    assert len(pages) > 2
    assert given.prepare((long * 9,))[1] > 0
    together = list(classify_texts(["good film", "a longer text about a bad film"], model))
    (alone,) = classify_texts(["good film"], model)
    assert together[0].labels == alone.labels


def test_all_but_the_head_is_the_checkpoints(data, reader) -> None:
    before = load_checkpoint(reader).system.state_dict()
    from showtell.recipes.classify import classify_vlp
    from showtell.recipes.tag import tag_vlp

    for recipe, head in ((classify_vlp, "classifier."), (tag_vlp, "tagger.")):
        start = finetuning.started(recipe(1).system, str(reader), ("a", "b"), [], 0)
        for name, tensor in start.system.state_dict().items():
            assert name.startswith(head) or torch.equal(tensor, before[name]), name
        assert len(start.system.class_names) == 2
        assert "letters.weight" in before.keys() - start.system.state_dict().keys()


@pytest.mark.parametrize("kind", ["bert", "vlp"])
def test_pairs_are_classified(kind, data, tmp_path) -> None:
    settings = [*SMALL, f"train.steps={30 if kind == 'bert' else 3}"]
    found = train_model(f"entail_{kind}", data / "pairs", tmp_path / "run", settings, device="cpu")
    record = load_checkpoint(tmp_path / "run").record
    assert record["validation"].keys() == FIGURES
    assert found["accuracy"] == 1.0 or kind == "vlp"


@pytest.mark.parametrize("kind", ["bert", "vlp"])
def test_words_are_tagged(kind, data, reader, tmp_path, ask) -> None:
    settings = [*SMALL, "train.steps=40"] if kind == "bert" else [*SMALL[4:], "train.steps=3"]
    model = str(reader) if kind == "vlp" else None
    train_model(f"tag_{kind}", data / "tags", tmp_path / "run", settings, model=model, device="cpu")
    record = load_checkpoint(tmp_path / "run").record
    assert record["validation"].keys() == FIGURES
    assert record["validation"]["f1"] == 1.0 or kind == "vlp"
    assert record["data"]["chance"] == 0.5
    text = "Ann sees Bob, " + "Ann sees Bob " * 20
    status, (found,), _ = ask("tag", text, "--model", tmp_path / "run")
    assert status == 0
    assert [token["text"] for token in found["tokens"]] == [
        "Ann",
        "sees",
        "Bob",
        ",",
        *["Ann", "sees", "Bob"] * 20,
    ]
    tags = [token["tag"] for token in found["tokens"]]
    assert set(tags) <= {"B-per", "O"}
    assert kind == "vlp" or tags[:3] == ["B-per", "O", "B-per"]
    assert all(0.5 <= token["probability"] <= 1 for token in found["tokens"])


def test_a_model_that_does_not_fit_is_named(data, reader, tmp_path) -> None:
    with pytest.raises(UsageError, match="VLP without the embed"):
        train_model("classify_bert", data / "texts", tmp_path / "a", SMALL[4:], model=str(reader))
    with pytest.raises(UsageError, match="leave out --model"):
        train_model("vlp_mini", data / "texts.txt", tmp_path / "b", SMALL, model=str(reader))
    with pytest.raises(UsageError, match="no classes of texts"):
        list(classify_texts(["a"], load_model(reader, "cpu")))
    with pytest.raises(UsageError, match=r"system\.width is that of --model"):
        train_model("classify_vlp", data / "texts", tmp_path / "c", SMALL, model=str(reader))


def test_texts_are_classified_by_the_command(data, reader, tmp_path, ask) -> None:
    train_model("entail_bert", data / "pairs", tmp_path / "run", [*SMALL, "train.steps=30"])
    status, rows, _ = ask("classify", "--texts", "A man 3 runs\tHe sits", "--model", tmp_path / "run")
    assert status == 0
    assert rows[0]["label"] == "n"
    status, _, said = ask("classify", "--texts", "a", "--labels", "a,b", "--model", tmp_path / "run")
    assert status == 2
    assert "--labels" in said
