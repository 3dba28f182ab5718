"""A run that was interrupted at any point, in any way, ends like one that was not."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from showtell.data.batch import Batch
from showtell.errors import UsageError, UserError
from showtell.train.config import TrainConfig
from showtell.train.loop import train
from showtell.train.signals import Interrupted
from showtell.train.state import TrainState
from showtell.writing import standing
from support.toy import CONFIG, Line, error, finish, kept, load_batch


class Kill(BaseException):
    """Ends a run as abruptly as an exception can."""


def run(
    output: Path,
    config: TrainConfig = CONFIG,
    *,
    stop_at: int | None = None,
    system: Any = None,
    **options: Any,
) -> Line:
    system = system or Line()

    def load(index: int) -> Batch:
        if index == stop_at:
            raise Kill
        return load_batch(index)

    options = {"validate": error, "finish": finish(system), **options}
    train(system, load, config, output, **options)
    return system


def everything(output: Path, config: TrainConfig = CONFIG) -> dict[str, Any]:
    """All that a run leaves, except its timings."""
    record = json.loads((standing(output / "state") / "progress.json").read_text())["record"]
    state = TrainState(Line(), config, record)
    state.load(output / "state")
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("items_per_second", None)
    return {
        "tensors": {name: tensor.tolist() for name, tensor in state.tensors().items()},
        "progress": vars(state.progress),
        "kept": {name: tensor.tolist() for name, tensor in kept(output).items()},
        "metrics": lines,
    }


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    output = tmp_path_factory.mktemp("whole") / "run"
    run(output)
    return everything(output)


def test_the_state_holds_all_that_matters(uninterrupted: dict[str, Any]) -> None:
    kinds = {name.split(".")[0] for name in uninterrupted["tensors"]}
    assert kinds == {"weights", "step", "exp_avg", "exp_avg_sq", "average"}
    assert uninterrupted["tensors"]["weights.updates"] == 30
    assert uninterrupted["tensors"]["step.linear.weight"] == 30
    assert {6, 7} <= {line["step"] for line in uninterrupted["metrics"]}


@pytest.mark.parametrize("prefetch", [1, 3, 16])
@pytest.mark.parametrize("stop_at", [0, 3, 5, 7, 8, 14, 29])
def test_resumed_is_bit_identical(
    tmp_path: Path, uninterrupted: dict[str, Any], stop_at: int, prefetch: int
) -> None:
    """20 items in batches of 3: steps 0, 3, 8, 29 are in the middle of an epoch; 7 and 14 are validated."""
    with pytest.raises(Kill):
        run(tmp_path, stop_at=stop_at)
    run(tmp_path, replace(CONFIG, prefetch=prefetch), resume=True)
    assert everything(tmp_path) == uninterrupted


def test_stopped_many_times(tmp_path: Path, uninterrupted: dict[str, Any]) -> None:
    for stop_at in (2, 6, 11, 11, 26):
        with pytest.raises(Kill):
            run(tmp_path, stop_at=stop_at, resume=(tmp_path / "state").exists())
    run(tmp_path, resume=True)
    assert everything(tmp_path) == uninterrupted


def test_resuming_a_finished_run_changes_nothing(tmp_path: Path, uninterrupted: dict[str, Any]) -> None:
    run(tmp_path)
    run(tmp_path, resume=True)
    assert everything(tmp_path) == uninterrupted


def test_a_finished_run_goes_on_with_more_steps(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """At a constant rate it becomes the run that was longer from the start, metrics and all."""
    short, long = (replace(CONFIG, schedule="constant", steps=steps) for steps in (28, 56))
    caplog.set_level("INFO", logger="showtell")
    run(tmp_path / "grown", short)
    run(tmp_path / "grown", short, resume=True)
    assert "is finished at step 28; --set train.steps= with a larger number continues it" in caplog.text
    with pytest.raises(Kill):
        run(tmp_path / "grown", long, resume=True, stop_at=40)
    assert "was finished at step 28 and continues to step 56" in caplog.text
    assert "a constant schedule of 56 steps: it was 0.05 at step 28, is 0.05 at step 29" in caplog.text
    caplog.clear()
    run(tmp_path / "grown", long, resume=True)  # by now a run of 56 steps like any other
    assert "was finished" not in caplog.text
    assert "continues at step" in caplog.text
    run(tmp_path / "whole", long)
    assert everything(tmp_path / "grown", long) == everything(tmp_path / "whole", long)
    with pytest.raises(UsageError, match=r"train\.steps was 56 and is now 28; .*step 56"):
        run(tmp_path / "grown", short, resume=True)


def test_the_schedule_of_a_grown_run_is_stated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="showtell")
    record = {"settings": {"system": {"total_steps": 30}}}
    run(tmp_path, record=record)
    grown = replace(CONFIG, steps=60)
    run(tmp_path, grown, record={"settings": {"system": {"total_steps": 60}}}, resume=True)
    assert "it was 0.00017 at step 30, is 0.027 at step 31 and 3.8e-05 at step 60" in caplog.text
    assert "the system's own schedule is that of the new length too" in caplog.text
    lines = everything(tmp_path, grown)["metrics"]
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 61))


def test_other_settings_of_a_grown_run_and_an_unfinished_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Kill):
        run(tmp_path / "unfinished", stop_at=12)
    with pytest.raises(UsageError, match=r"train\.steps was 30 and is now 60.*it is at step 10"):
        run(tmp_path / "unfinished", replace(CONFIG, steps=60), resume=True)
    run(tmp_path / "done")
    with pytest.raises(UsageError, match=r"another run: train\.learning_rate was 0\.05 and is now 0\.1; r"):
        run(tmp_path / "done", replace(CONFIG, steps=60, learning_rate=0.1), resume=True)
    patient = replace(CONFIG, patience=1, learning_rate=1e-9, ema=0.0)
    run(tmp_path / "early", patient, validate=lambda system: {"error": 1.0})
    with pytest.raises(UsageError, match=r"ended after 1 validation without an improvement"):
        run(tmp_path / "early", replace(patient, steps=60), resume=True)


def test_accumulated_batches_resume_too(tmp_path: Path) -> None:
    config = replace(CONFIG, accumulate=3, steps=9, ema=0.0, checkpoint_every=2)
    whole = run(tmp_path / "whole", config)
    with pytest.raises(Kill):
        run(tmp_path / "cut", config, stop_at=16)
    resumed = run(tmp_path / "cut", config, resume=True)
    assert torch.equal(whole.linear.weight, resumed.linear.weight)


def test_a_signal_interrupts_a_validation_which_is_repeated_on_resuming(
    tmp_path: Path, uninterrupted: dict[str, Any]
) -> None:
    begun = time.monotonic()

    def long(system: Line) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(3000):  # thirty seconds, were it not interrupted
            with contextlib.suppress(Exception):  # as a careless validation does
                time.sleep(0.01)
        return error(system)

    with pytest.raises(Interrupted) as caught:
        run(tmp_path, validate=long)
    assert time.monotonic() - begun < 20
    assert caught.value.exit_status == 143
    assert "step 7 of 30" in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    run(tmp_path, resume=True)
    assert everything(tmp_path) == uninterrupted


def test_a_validation_that_is_killed_at_the_end_costs_no_update(
    tmp_path: Path, uninterrupted: dict[str, Any]
) -> None:
    def killed(system: Line) -> dict[str, float]:
        if system.updates == CONFIG.steps:
            raise Kill
        return error(system)

    with pytest.raises(Kill):
        run(tmp_path, validate=killed)
    run(tmp_path, resume=True, stop_at=CONFIG.steps - 1)
    assert everything(tmp_path) == uninterrupted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("made", [True, False])
def test_a_signal_before_the_first_update_leaves_nothing(tmp_path: Path, monkeypatch, number, made) -> None:
    save, output = TrainState.save, tmp_path / "run"
    if made:
        output.mkdir()

    def interrupted(self: TrainState, folder: Path) -> None:
        os.kill(os.getpid(), number)
        save(self, folder)

    monkeypatch.setattr(TrainState, "save", interrupted)
    with pytest.raises(Interrupted, match="before step 1 of 30: there is nothing to save") as caught:
        run(output)
    assert caught.value.exit_status == 128 + number
    assert [*tmp_path.rglob("*")] == [output] * made
    monkeypatch.undo()
    run(output)


def test_outside_the_main_thread_no_handler_is_set(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            run(tmp_path)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not failures


@pytest.mark.parametrize(
    ("config", "record", "says"),
    [
        (
            replace(CONFIG, learning_rate=0.06),
            {"data": {"hash": "a"}},
            "train.learning_rate was 0.05 and is now 0.06",
        ),
        (replace(CONFIG, betas=(0.9, 0.99)), {"data": {"hash": "a"}}, "train.betas was [0.9, 0.999]"),
        (CONFIG, {"data": {"hash": "b"}}, "data.hash was 'a' and is now 'b'"),
        (CONFIG, {}, "data.hash was 'a' and is now None"),
        (CONFIG, {"data": {"hash": "a"}, "system": "gru"}, "system was None and is now 'gru'"),
    ],
)
def test_another_run_is_not_resumed(
    tmp_path: Path, config: TrainConfig, record: dict[str, Any], says: str
) -> None:
    with pytest.raises(Kill):
        run(tmp_path, stop_at=7, record={"data": {"hash": "a"}})
    with pytest.raises(UsageError) as caught:
        run(tmp_path, config, record=record, resume=True)
    assert says in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_what_does_not_change_the_result_may_change(tmp_path: Path, uninterrupted: dict[str, Any]) -> None:
    with pytest.raises(Kill):
        run(tmp_path, stop_at=7, record={"settings": {"train": {"checkpoint_every": 5}}})
    changed = replace(CONFIG, checkpoint_every=4, prefetch=1)
    run(tmp_path, changed, resume=True, record={"settings": {"train": {"checkpoint_every": 4}}})
    assert everything(tmp_path) == uninterrupted


@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "json", "other system"])
def test_a_damaged_state_is_named(tmp_path: Path, damage: str) -> None:
    with pytest.raises(Kill):
        run(tmp_path, stop_at=7)
    tensors, progress = tmp_path / "state" / "state.safetensors", tmp_path / "state" / "progress.json"
    system = None
    if damage == "cut":
        tensors.write_bytes(tensors.read_bytes()[:-5])
    elif damage == "empty":
        tensors.write_bytes(b"")
    elif damage == "gone":
        tensors.unlink()
    elif damage == "json":
        progress.write_text('{"progress"')
    else:
        system = Line()
        system.more = torch.nn.Linear(2, 2)
    with pytest.raises(UserError) as caught:
        run(tmp_path, resume=True, system=system)
    assert (
        "progress.json" in str(caught.value) if damage == "json" else "state.safetensors" in str(caught.value)
    )
    if system:
        assert "weights.more.bias is missing, weights.more.weight is missing" in str(caught.value)


def test_a_line_that_a_crash_truncated_is_dropped(tmp_path: Path, uninterrupted: dict[str, Any]) -> None:
    with pytest.raises(Kill):
        run(tmp_path, stop_at=5)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')
    run(tmp_path, resume=True)
    assert everything(tmp_path) == uninterrupted


SCRIPT = """
import os, signal, sys, time
from dataclasses import replace
from pathlib import Path
import torch
torch.set_num_threads(1)
from support.toy import CONFIG, Line, error, finish, load_batch
from showtell.errors import UserError
from showtell.train.loop import train
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs inherit it as ignored

def once(output, pause, checkpoint_every):
    system = Line()
    def load(index):
        time.sleep(pause)
        return load_batch(index)
    config = replace(CONFIG, checkpoint_every=checkpoint_every)
    resume = (output / "state").exists() or (output / ".state.previous").exists()
    try:
        train(system, load, config, output, finish=finish(system), validate=error, resume=resume)
    except UserError as stop:
        print(stop, file=sys.stderr)
        return stop.exit_status
    return 0
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_exits(
    tmp_path: Path, uninterrupted: dict[str, Any], number: signal.Signals, status: int
) -> None:
    """A real process, interrupted long after its last checkpoint."""
    script = SCRIPT + "sys.exit(once(Path(sys.argv[1]), 0.1, 100))"
    process = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path / "run"], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )
    metrics = tmp_path / "run" / "metrics.jsonl"
    while not (metrics.exists() and metrics.read_text().count("\n") >= 10):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == status
    assert "continue" in said
    assert "Traceback" not in said
    saved = json.loads((tmp_path / "run" / "state" / "progress.json").read_text())["progress"]["step"]
    assert 9 <= saved < 30
    run(tmp_path / "run", resume=True)
    assert everything(tmp_path / "run") == uninterrupted


def test_kill_9_at_any_moment_loses_nothing(tmp_path: Path, uninterrupted: dict[str, Any]) -> None:
    """Children that save every step are killed at random times and resumed, until the run is complete.

    They are forked from a process without threads: so a child lives for milliseconds, not for an import.
    """
    script = SCRIPT + (
        "import shutil\n"
        "def slow(call):\n"  # a slow disk: most kills fall between two of its calls
        "    return lambda *a, **k: (time.sleep(0.001), call(*a, **k))[1]\n"
        "for owner, name in [(os, 'fsync'), (os, 'unlink'), (Path, 'rename'), (shutil, 'rmtree')]:\n"
        "    setattr(owner, name, slow(getattr(owner, name)))\n"
        "output = Path(sys.argv[1])\n"
        "once(output.with_name('first'), 0, 100)\n"  # so that torch's late imports are done
        "for line in sys.stdin:\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        os._exit(once(output, 0, 1))\n"
        "    if float(line) > 0:\n"
        "        time.sleep(float(line))\n"
        "        os.kill(child, signal.SIGKILL)\n"
        "    print(os.waitpid(child, 0)[1], flush=True)\n"
    )
    draw = random.Random(0)
    output = tmp_path / "run"
    killed = begun = 0
    with subprocess.Popen(
        [sys.executable, "-c", script, output],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        while killed < 25:
            print(draw.uniform(0.01, 0.4), file=process.stdin, flush=True)
            status = int(process.stdout.readline())
            assert status in (0, signal.SIGKILL)
            if status == signal.SIGKILL:
                killed += 1
                begun += standing(output / "state").exists()
            else:
                assert everything(output) == uninterrupted
                shutil.rmtree(output)
        print(0, file=process.stdin, flush=True)
        assert int(process.stdout.readline()) == 0
    assert begun > 18  # else the children were killed too early
    assert everything(output) == uninterrupted
