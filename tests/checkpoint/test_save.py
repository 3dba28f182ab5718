"""Saving: a round trip, atomic replacement, and what the hash covers."""

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from showtell.checkpoint.load import load_checkpoint
from showtell.checkpoint.tensors import write_tensors
from showtell.errors import UsageError
from showtell.systems.show_attend_and_tell import ShowAttendAndTell, ShowAttendAndTellConfig
from support.checkpoints import refused, same, save, small


@pytest.mark.parametrize("system", [small(), ShowAttendAndTell(ShowAttendAndTellConfig(11, 6, 8, 4, 8, 4))])
def test_round_trip(tmp_path: Path, system: nn.Module) -> None:
    checkpoint = load_checkpoint(save(tmp_path / "模型" / "best", system))
    assert same(checkpoint, system)
    assert checkpoint.system.config == system.config
    assert not checkpoint.system.training
    assert checkpoint.record["recipe"] == {"train": {"steps": 3}}
    assert checkpoint.tokenizer_json == '{"words": ["狗"]}'
    assert checkpoint.preprocess == {"size": 224}
    assert checkpoint.folder == tmp_path / "模型" / "best"


def test_anyone_can_read_it(tmp_path: Path) -> None:
    folder = save(tmp_path / "a")
    names = {"config.json", "model.safetensors", "tokenizer.json", "preprocess.json", "README.md"}
    assert {p.name for p in folder.iterdir()} == names
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert config["system"] == "show_and_tell.ShowAndTell"
    assert config["config"]["width"] == 8
    assert set(config["versions"]) == {"showtell", "torch"}
    for path in folder.iterdir():
        with pytest.raises(Exception), path.open("rb") as file:  # noqa: B017, PT011
            pickle.load(file)


def test_the_umask_decides_who_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        folder = save(tmp_path / "a")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o640}


def test_the_current_folder_can_be_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(save(tmp_path / "a"))
    assert same(load_checkpoint(Path()), small())


def test_half_precision_is_loaded_as_float32(tmp_path: Path) -> None:
    system = small(width=32)  # large beside the names of its parameters
    whole, half = save(tmp_path / "a", system), save(tmp_path / "b", system, dtype=torch.float16)
    sizes = [(f / "model.safetensors").stat().st_size for f in (whole, half)]
    assert sizes[1] < 0.6 * sizes[0]
    loaded = load_checkpoint(half).system
    for name, tensor in loaded.state_dict().items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, system.state_dict()[name], rtol=1e-3, atol=1e-4)
    assert system.word_embedding.weight.dtype == torch.float32
    with torch.no_grad():
        system.bias[0] = 1e5
    refused(lambda: save(tmp_path / "c", system, dtype=torch.float16), "bias", "float32")
    assert not (tmp_path / "c").exists()


def test_the_hash_covers_what_decides_the_answers(tmp_path: Path) -> None:
    def hash_of(**changes: Any) -> str:
        shutil.rmtree(tmp_path / "a", ignore_errors=True)
        return load_checkpoint(save(tmp_path / "a", **changes)).hash

    base = hash_of()
    assert hash_of() == hash_of(card="other", record={"seed": 2}) == base
    weights = (tmp_path / "a" / "model.safetensors").read_bytes()
    assert len(base) == len(hashlib.sha256(weights).hexdigest())
    others = [
        hash_of(system=small(1)),
        hash_of(system=small(dropout=0.5)),
        hash_of(tokenizer_json="{}"),
        hash_of(preprocess={"size": 225}),
        hash_of(dtype=torch.float16),
    ]
    assert len({base, *others}) == 6
    moved = shutil.copytree(tmp_path / "a", tmp_path / "moved")
    assert load_checkpoint(moved).hash == others[-1]


def test_a_run_can_stand_for_its_model(tmp_path: Path) -> None:
    save(tmp_path / "run" / "model")
    assert load_checkpoint(tmp_path / "run").folder == tmp_path / "run" / "model"


def test_a_foreign_folder_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"mine")
    refused(lambda: save(tmp_path / "photos"), "photos", "choose another", kind=UsageError)
    assert (tmp_path / "photos" / "a.jpg").read_bytes() == b"mine"
    (tmp_path / "file").write_text("mine")
    refused(lambda: save(tmp_path / "file"), "file", "choose another", kind=UsageError)
    refused(lambda: save(tmp_path / "file" / "inside"), "cannot write")
    (tmp_path / "empty").mkdir()
    assert load_checkpoint(save(tmp_path / "empty"))


class Crash(BaseException):
    """A power cut: nothing runs after it, not even clean-up."""


@pytest.mark.parametrize("before", ["one", "killed between the renames"])
def test_a_crash_at_any_moment_leaves_the_new_or_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """Each call that touches the disk is made to crash in turn, before doing its work."""
    old, new = small(1), small(2)
    folder = tmp_path / "model"
    outcomes = []
    for point in range(1000):
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        save(folder, old)
        if before != "one":
            folder.rename(tmp_path / ".model.previous")
        left = point

        def crashing(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **options: Any) -> Any:
                nonlocal left
                if left == 0:
                    raise Crash
                left -= 1
                return real(*arguments, **options)

            return call

        with monkeypatch.context() as patch:
            for owner, name in [
                (os, "fsync"), (Path, "rename"), (Path, "mkdir"), (Path, "write_text"), (shutil, "rmtree"),
                (os, "unlink"),
            ]:  # fmt: skip
                patch.setattr(owner, name, crashing(getattr(owner, name)))
            patch.setattr("showtell.checkpoint.save.write_tensors", crashing(write_tensors))
            try:
                save(folder, new)
                crashed = False
            except Crash:
                crashed = True
        checkpoint = load_checkpoint(folder)
        outcomes.append(same(checkpoint, new))
        assert outcomes[-1] or same(checkpoint, old)
        third = small(3)
        assert same(load_checkpoint(save(folder, third)), third)
        assert {p.name for p in tmp_path.iterdir()} == {"model"}  # leftovers of the crash are removed
        if not crashed:
            break
    assert len(outcomes) > 12
    assert outcomes[-1]
    assert outcomes == sorted(outcomes)


def test_a_failed_write_keeps_the_old_checkpoint_and_frees_its_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = small(1)
    folder = save(tmp_path / "model", system)

    def full(path: Path, tensors: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("showtell.checkpoint.save.write_tensors", full)
    refused(lambda: save(folder, small(2)), str(folder), "No space left on device", "Free space")
    assert same(load_checkpoint(folder), system)
    assert {p.name for p in tmp_path.iterdir()} == {"model"}


def test_only_systems_of_the_package_are_saved(tmp_path: Path) -> None:
    class Stranger(nn.Module):
        config = small().config

    with pytest.raises(ValueError, match=r"showtell\.systems"):
        save(tmp_path / "a", Stranger())
