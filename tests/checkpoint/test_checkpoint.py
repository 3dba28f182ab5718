import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from showtell.checkpoint.load import Checkpoint, load_checkpoint
from showtell.checkpoint.save import save_checkpoint
from showtell.checkpoint.tensors import named_tensors, read_tensors, write_tensors
from showtell.errors import UsageError, UserError
from showtell.systems.show_and_tell import ShowAndTell, ShowAndTellConfig
from showtell.systems.show_attend_and_tell import ShowAttendAndTell, ShowAttendAndTellConfig

SMALL = ShowAndTellConfig(vocab_size=11, feature_width=6, width=8, depth=1)
TOKENIZER = '{"words": ["狗"]}'


def small(seed: int = 0, config: ShowAndTellConfig = SMALL) -> ShowAndTell:
    torch.manual_seed(seed)
    return ShowAndTell(config)


def save(folder: Path, system: nn.Module | None = None, **changes: Any) -> Path:
    parts = {
        "record": {"recipe": {"train": {"steps": 3}}, "seed": 1},
        "tokenizer_json": TOKENIZER,
        "preprocess": {"size": 224},
        "card": "# A model\n",
        **changes,
    }
    save_checkpoint(folder, system or small(), **parts)
    return folder


def same(checkpoint: Checkpoint, system: nn.Module) -> bool:
    ours, theirs = checkpoint.system.state_dict(), system.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)


def refused(attempt: Callable[[], object], *says: str, kind: type[UserError] = UserError) -> str:
    with pytest.raises(kind) as caught:
        attempt()
    for text in says:
        assert text in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("system", [small(), ShowAttendAndTell(ShowAttendAndTellConfig(11, 6, 8, 4, 8, 4))])
def test_round_trip(tmp_path: Path, system: nn.Module) -> None:
    checkpoint = load_checkpoint(save(tmp_path / "模型" / "best", system))
    assert same(checkpoint, system)
    assert checkpoint.system.config == system.config
    assert not checkpoint.system.training
    assert checkpoint.record["recipe"] == {"train": {"steps": 3}}
    assert checkpoint.tokenizer_json == TOKENIZER
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
    system = small()
    whole, half = save(tmp_path / "a", system), save(tmp_path / "b", system, dtype=torch.float16)
    sizes = [(f / "model.safetensors").stat().st_size for f in (whole, half)]
    assert sizes[1] < 0.6 * sizes[0]
    loaded = load_checkpoint(half).system
    for name, tensor in loaded.state_dict().items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, system.state_dict()[name], rtol=1e-3, atol=1e-4)
    assert system.output.weight.dtype == torch.float32
    with torch.no_grad():
        system.output.bias[0] = 1e5
    refused(lambda: save(tmp_path / "c", system, dtype=torch.float16), "output.bias", "float32")
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
        hash_of(system=small(0, replace(SMALL, dropout=0.5))),
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
        (edited(format=2), ["config.json", "format 2", "upgrade"]),
        (edited(system="show_and_sing.ShowAndSing"), ["'show_and_sing.ShowAndSing'", "upgrade"]),
        (edited(system="show_and_tell.Recurrent"), ["'show_and_tell.Recurrent'"]),
        (edited(system="show_and_tell.ShowAndTellConfig"), ["'show_and_tell.ShowAndTellConfig'"]),
        (edited(system="..os.System"), ["'..os.System'"]),
        (edited(system="show_and_tell.ShowAndTell.forward"), ["does not have"]),
        (edited(system=5), ["system 5"]),
        (edited(config=None), ["'config' is missing"]),
        (
            edited(config={**FIELDS, "attention": 3, "beams": 1}),
            ["unknown fields attention, beams", "upgrade"],
        ),
        (edited(config={**FIELDS, "cell": "rnn"}), ["does not describe a ShowAndTell", "rnn"]),
        (edited(config={**FIELDS, "width": "wide"}), ["does not describe a ShowAndTell"]),
        (edited(config={**FIELDS, "vocab_size": 10**15}), ["does not describe a ShowAndTell"]),
        (
            edited(config={**FIELDS, "vocab_size": 12}),
            ["word_embedding.weight is [11, 8] instead of [12, 8]"],
        ),
        (with_tensors(lambda t: t.pop("output.bias")), ["output.bias is missing"]),
        (with_tensors(lambda t: t.update({"extra": torch.ones(1)})), ["extra is unknown"]),
        (
            with_tensors(lambda t: t.update({"output.bias": torch.ones(3)})),
            ["output.bias is [3] instead of [11]"],
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


def test_every_fault_is_named_and_nothing_is_copied(tmp_path: Path) -> None:
    write_tensors(tmp_path / "t.safetensors", {"a": torch.ones(2), "b": torch.ones(2), "d": torch.ones(2)})
    into = {"a": torch.zeros(2), "b": torch.zeros(3), "c": torch.zeros(1)}
    refused(
        lambda: read_tensors(tmp_path / "t.safetensors", into),
        "b is [2] instead of [3], c is missing, d is unknown",
    )
    assert not into["a"].any()


def test_tied_parameters_are_stored_once(tmp_path: Path) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(5, 4)
            self.output = nn.Linear(4, 5)
            self.output.weight = self.words.weight

    first, second = Tied(), Tied()
    write_tensors(tmp_path / "t.safetensors", named_tensors(first))
    assert list(named_tensors(first)) == ["words.weight", "output.bias"]
    read_tensors(tmp_path / "t.safetensors", named_tensors(second))
    assert torch.equal(second.output.weight, first.output.weight)


def test_only_systems_of_the_package_are_saved(tmp_path: Path) -> None:
    class Stranger(nn.Module):
        config = SMALL

    with pytest.raises(ValueError, match=r"showtell\.systems"):
        save(tmp_path / "a", Stranger())
