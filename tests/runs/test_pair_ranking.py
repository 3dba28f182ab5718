"""Ranking runs: from scratch, and from a pretrained encoder of pairs with its vocabulary."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from showtell.checkpoint.load import load_checkpoint
from showtell.errors import UsageError
from showtell.pairing import PairScorer
from showtell.recipes.launch import train_model

SIZES = ("width=24", "depth=1", "num_heads=2", "mlp_dim=48", "max_length=16", "image_size=32")
QUICK = [
    *("vocabulary.max_length=16", "train.batch_size=4", "train.warmup_steps=1", "train.validate_every=0"),
    *("train.steps=2", "train.learning_rate=1e-9", "train.weight_decay=0"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("squares")
    for split, numbers in (("train", range(8)), ("val", range(8, 12))):
        (folder / split).mkdir()
        lines = []
        for number in numbers:
            Image.new("RGB", (32, 32), (20 * number, 0, 0)).save(folder / split / f"{number}.png")
            lines.append(json.dumps({"file_name": f"{number}.png", "caption": f"a square of {number} reds"}))
        (folder / split / "metadata.jsonl").write_text("\n".join(lines))
    return folder


def test_ranking_starts_from_a_pretrained_encoder(data: Path, tmp_path: Path) -> None:
    sized = [f"system.{size}" for size in SIZES]
    train_model("vilt_mini", data, tmp_path / "vilt", [*QUICK, *sized])
    before = load_checkpoint(tmp_path / "vilt")
    reached = train_model("retrieve_vilt", data, tmp_path / "run", QUICK, model=str(tmp_path / "vilt"))
    assert 0 <= reached["recall1"] <= 1
    after = load_checkpoint(tmp_path / "run")
    assert isinstance(after.system, PairScorer)
    assert after.tokenizer_json == before.tokenizer_json
    parameters = before.system.state_dict()
    for name, tensor in after.system.state_dict().items():
        if not name.startswith("rank"):
            torch.testing.assert_close(tensor, parameters[name], atol=1e-6, rtol=0)


def test_ranking_from_scratch_and_a_setting_of_the_model(data: Path, tmp_path: Path) -> None:
    sized = [f"system.{size}" for size in SIZES]
    reached = train_model("retrieve_vilt", data, tmp_path / "run", [*QUICK, *sized])
    assert reached["steps"] == 2
    with pytest.raises(UsageError, match=r"system\.width is that of --model"):
        train_model("retrieve_vilt", data, tmp_path / "other", sized, model=str(tmp_path / "run"))
