"""`train.precision=auto`: settled by the device, named in the record, kept when resumed, and harmless."""

import json
import random
import statistics
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from showtell.checkpoint.load import load_checkpoint
from showtell.errors import UsageError
from showtell.nn.bfloat16 import has_fast_bfloat16
from showtell.recipes.launch import train_model
from showtell.train.config import TrainConfig
from showtell.train.loop import train
from support.toy import Line

TINY = ["system.width=32", "system.depth=1", "system.num_heads=2", "system.mlp_dim=64", "train.batch_size=16"]
RECIPES = {
    "bert_mini": ("texts", ["system.vocab_size=60", "system.max_length=32"]),
    "gpt_mini": ("texts", ["system.vocab_size=300", "system.max_length=32"]),
    "vit_mini": ("squares", ["system.image_size=16", "system.patch_size=8"]),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Texts with one place per animal, and noisy squares of two colours."""
    root, draw, rng = tmp_path_factory.mktemp("data"), random.Random(0), np.random.default_rng(0)
    places = {"cat": "mat", "dog": "yard", "bird": "tree"}
    lines = [f"The {who} sat in the {places[who]}. End." for who in draw.choices(list(places), k=80)]
    (root / "texts.txt").write_text("\n".join(lines))
    for split, count in (("train", 24), ("test", 8)):
        for name, colour in {"blue": (40, 60, 200), "red": (210, 40, 40)}.items():
            folder = root / "squares" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = np.clip(np.array(colour) + rng.normal(0, 90, (16, 16, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


def run(name: str, data: Path, output: Path, *settings: str, **kwargs) -> list[float]:
    """The loss of every step."""
    what, own = RECIPES[name]
    source = data / ("texts.txt" if what == "texts" else what)
    fixed = ["train.warmup_steps=5", "train.validate_every=0"]
    train_model(name, source, output, [*TINY, *own, *fixed, *settings], device="cpu", **kwargs)
    lines = map(json.loads, (output / "metrics.jsonl").read_text().splitlines())
    return [line["loss"] for line in lines if "loss" in line]


@pytest.mark.parametrize(("units", "settled"), [(True, "bf16"), (False, "float32")])
def test_the_record_names_what_auto_is_and_resuming_keeps_it(data, tmp_path, monkeypatch, units, settled):
    monkeypatch.setattr("showtell.train.precision.has_fast_bfloat16", lambda device: units)
    run("gpt_mini", data, tmp_path / "run", "train.steps=2", "train.precision=auto")
    record = load_checkpoint(tmp_path / "run").record
    assert record["settings"]["train"]["precision"] == settled
    monkeypatch.setattr("showtell.train.precision.has_fast_bfloat16", lambda device: not units)
    losses = run("gpt_mini", data, tmp_path / "run", "train.steps=4", "train.precision=auto", resume=True)
    assert len(losses) == 4
    state = json.loads((tmp_path / "run" / "state" / "progress.json").read_text())
    assert state["record"]["train"]["precision"] == settled
    other = "float32" if settled == "bf16" else "bf16"
    with pytest.raises(UsageError, match=f"train.precision was '{settled}' and is now '{other}'"):
        run("gpt_mini", data, tmp_path / "run", "train.steps=4", f"train.precision={other}", resume=True)


def test_the_loop_wants_it_settled(tmp_path):
    with pytest.raises(ValueError, match="settled"):
        train(Line(), lambda index: None, TrainConfig(precision="auto"), tmp_path, finish=lambda folder: None)


@pytest.mark.slow
@pytest.mark.skipif(not has_fast_bfloat16("cpu"), reason="bfloat16 is no faster on this processor")
@pytest.mark.parametrize("name", RECIPES)
def test_200_steps_end_within_the_noise_of_float32(name, data, tmp_path):
    """The loss of the last 50 steps differs by no more than that of another seed does."""

    def end(folder: str, precision: str, seed: int) -> float:
        settings = ("train.steps=200", "train.learning_rate=1e-3", f"train.precision={precision}")
        return statistics.mean(run(name, data, tmp_path / folder, *settings, seed=seed)[-50:])

    exact = [end(f"float32-{seed}", "float32", seed) for seed in range(3)]
    rounded = end("auto", "auto", 0)
    noise = max(exact) - min(exact)
    assert abs(rounded - exact[0]) <= max(noise, 0.01 * exact[0]), (exact, rounded)
