"""Loading: whatever is missing, unknown or damaged is named."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from showtell.checkpoint.load import load_checkpoint
from showtell.checkpoint.tensors import named_tensors, write_tensors
from support.checkpoints import refused, save, small


def edited(**changes: Any) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **changes}))

    return edit


def with_tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        tensors = dict(named_tensors(small()))
        change(tensors)
        write_tensors(folder / "model.safetensors", tensors)

    return edit


def cut(name: str, keep: int) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:keep])


FIELDS = {"vocab_size": 11, "feature_width": 6, "width": 8, "depth": 1}


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (shutil.rmtree, ["there is no checkpoint at", "config.json"]),
        (lambda f: (f / "config.json").unlink(), ["config.json missing", "Copy the whole folder"]),
        (
            lambda f: [(f / n).unlink() for n in ("tokenizer.json", "preprocess.json")],
            ["tokenizer.json, preprocess.json missing"],
        ),
        (cut("config.json", 30), ["config.json", "again"]),
        (lambda f: (f / "config.json").write_bytes(b"\xff\xfe"), ["config.json", "again"]),
        (lambda f: (f / "preprocess.json").write_text("[1]"), ["preprocess.json", "JSON object"]),
        (lambda f: (f / "tokenizer.json").write_bytes(b"\xff"), ["tokenizer.json", "again"]),
        (
            with_tensors(lambda t: t[min(t)].fill_(torch.nan)),
            ["model.safetensors", f"NaN or infinite values in {min(named_tensors(small()))}"],
        ),
        (edited(format=2), ["config.json", "format 2", "upgrade"]),
        (edited(system="show_and_sing.ShowAndSing"), ["'show_and_sing.ShowAndSing'", "upgrade"]),
        (edited(system="show_and_tell.Recurrent"), ["'show_and_tell.Recurrent'"]),
        (edited(system="show_and_tell.ShowAndTellConfig"), ["'show_and_tell.ShowAndTellConfig'"]),
        (edited(system="..os.System"), ["'..os.System'"]),
        (edited(system="show_and_tell.ShowAndTell.forward"), ["does not have"]),
        (edited(system=5), ["system 5"]),
        (edited(config=None), ["'config' is missing"]),
        (edited(frozen=5), ["frozen is wrong"]),
        (edited(frozen=[{"prefix": "output.", "hash": "a"}]), ["frozen is wrong", "source"]),
        (
            edited(config={**FIELDS, "attention": 3, "beams": 1}),
            ["unknown fields attention, beams", "upgrade"],
        ),
        (edited(config={**FIELDS, "cell": "rnn"}), ["config is wrong: cell is 'rnn'"]),
        (edited(config={**FIELDS, "width": "wide"}), ["config is wrong: width is 'wide'"]),
        (edited(config={**FIELDS, "vocab_size": 10**15}), ["does not describe a ShowAndTell"]),
        (
            edited(config={**FIELDS, "vocab_size": 12}),
            ["word_embedding.weight is [11, 8] instead of [12, 8]"],
        ),
        (with_tensors(lambda t: t.pop("bias")), ["bias is missing"]),
        (with_tensors(lambda t: t.update({"extra": torch.ones(1)})), ["extra is unknown"]),
        (
            with_tensors(lambda t: t.update({"bias": torch.ones(3)})),
            ["bias is [3] instead of [11]"],
        ),
        (cut("model.safetensors", -1), ["model.safetensors", "again"]),
        (cut("model.safetensors", 100), ["model.safetensors", "again"]),
        (cut("model.safetensors", 0), ["model.safetensors", "again"]),
        (lambda f: (f / "model.safetensors").write_bytes(pickle.dumps({})), ["model.safetensors", "again"]),
    ],
)
def test_damage_is_named(tmp_path: Path, damage: Callable[[Path], object], says: list[str]) -> None:
    folder = save(tmp_path / "model")
    damage(folder)
    said = refused(lambda: load_checkpoint(folder), *says, str(folder))
    assert "\n" not in said
