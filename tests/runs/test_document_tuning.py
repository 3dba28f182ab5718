"""A language model tuned on documents reads them by its own schema: in `extract`, `evaluate`, and merged."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from PIL import Image

from showtell.checkpoint.adapters import adapter_in
from showtell.data.documents.materials import DEFAULT_SCHEMA, KIND, schema_of
from showtell.datasets.printed_text import TextLine
from showtell.evaluation.evaluate import evaluate
from showtell.pipelines.document_readers import load_reader
from showtell.pipelines.import_model import import_model
from showtell.pipelines.merge_adapter import merge_adapter
from showtell.pipelines.model import load_model
from showtell.recipes.launch import train_model
from showtell.tasks.documents import instruction
from support.chat import TEMPLATE, llama_folder
from support.documents import box
from support.qwen import qwen_folder

pytest.importorskip("llguidance")

TOTALS = ("ALPHA", "BETA", "GAMMA", "DELTA", "BETA")
SCHEMA = schema_of({"till": ["total"]})
SETTINGS = [
    *("held_out=0", "rank=8", "alpha=16", "train.batch_size=4", "train.learning_rate=1e-2"),
    *("train.warmup_steps=5", "train.checkpoint_every=0"),
]


def printed(total: str) -> list[TextLine]:
    return [TextLine(text, 0.9, box(x, 0, text)) for x, text in ((0, "SUM"), (200, total))]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Five slips, the last held out; the fourth has more text than the model reads."""
    folder, rows = tmp_path_factory.mktemp("slips"), []
    for number, total in enumerate(TOTALS):
        Image.new("L", (40, 30 + number)).save(folder / f"{number}.png")
        lines = printed(total if number != 3 else f"{total} " * 1000)
        rows.append(
            {
                "image": f"{number}.png",
                "materials": [{KIND: "till", "total": total}],
                "split": "val" if number == 4 else "train",
                "lines": [asdict(line) for line in lines],
            }
        )
    (folder / "materials.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    texts = [instruction(SCHEMA), *(f"SUM {total}" for total in TOTALS)] * 3
    sizes = {"width": 48, "mlp_dim": 96, "num_heads": 4, "num_kv_heads": 2, "max_length": 2000}
    folder = llama_folder(tmp_path_factory.mktemp("base") / "theirs", "chatml", TEMPLATE, texts, **sizes)
    return Path(import_model(str(folder), folder.parent / "ours")["model"])


def tune(data: Path, output: Path, base: Path, steps: int) -> dict:
    settings = [*SETTINGS, f"train.steps={steps}"]
    return train_model("tune", data, output, settings, model=str(base), device="cpu")


@pytest.fixture(autouse=True)
def read(monkeypatch):
    """What is printed on the image of each height."""

    def reader():
        return lambda pixels: printed(TOTALS[pixels.shape[0] - 30])

    for room in ("datasets.printed_text", "pipelines.extract"):
        monkeypatch.setattr(f"showtell.{room}.TextReader", reader)


def test_the_schema_of_its_kinds_is_kept_with_the_adapter_and_merged(base, data, tmp_path, caplog) -> None:
    reached = tune(data, tmp_path / "run", base, 2)
    assert reached["left_out"] == 1
    assert f"the first, {data / '3.png'}, is longer by" in caplog.text
    said = json.loads((adapter_in(tmp_path / "run") / "adapter.json").read_text("utf-8"))
    assert (said["record"]["data"]["train"], said["record"]["data"]["val"]) == (3, 0)
    merged = merge_adapter(tmp_path / "run", tmp_path / "merged")["model"]
    for tuned in (tmp_path / "run", merged):
        assert load_reader(tuned, "cpu").schema == SCHEMA
    assert load_reader(base, "cpu").schema == DEFAULT_SCHEMA


@pytest.mark.slow
def test_it_reads_the_documents_of_its_training(base, data, tmp_path, ask, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tune(data, tmp_path / "run", base, 200)
    status, found, _ = ask("extract", *(data / f"{n}.png" for n in range(3)), "--model", tmp_path / "run")
    assert status == 0
    assert [one["documents"] for one in found] == [[{KIND: "till", "total": total}] for total in TOTALS[:3]]
    figures = evaluate(load_model(tmp_path / "run", "cpu"), data, "val")
    assert (figures["documents"], figures["valid"], figures["failed"]) == (1, 1, 0)
    assert figures["kinds"] == 1


@pytest.mark.slow
def test_a_qwen_vl_learns_from_the_images_alone(data, tmp_path, monkeypatch) -> None:
    pytest.importorskip("transformers", "5.24")
    monkeypatch.setattr("showtell.datasets.printed_text.TextReader", None)
    base = qwen_folder(tmp_path / "qwen", "qwen2_vl")
    tune(data, tmp_path / "run", base, 1)
    said = json.loads((adapter_in(tmp_path / "run") / "adapter.json").read_text("utf-8"))
    assert said["record"]["data"]["train"] == 4
    merged = merge_adapter(tmp_path / "run", tmp_path / "merged")["model"]
    for tuned in (tmp_path / "run", merged):
        reader = load_reader(tuned, "cpu")
        assert (reader.reads_images, reader.schema) == (True, SCHEMA)
    assert load_reader(base, "cpu").schema == DEFAULT_SCHEMA
