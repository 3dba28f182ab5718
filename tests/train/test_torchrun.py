"""`torchrun -m showtell train`, as typed in a shell."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SHOWTELL = [sys.executable, "-m", "showtell"]
TORCHRUN = [
    sys.executable,
    "-m",
    "torch.distributed.run",
    "--standalone",
    "--nproc-per-node",
    "2",
    "-m",
    "showtell",
]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    draw = np.random.default_rng(0)
    for number in range(12):
        Image.fromarray(draw.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{number}.png")
    return folder


def command(start: list[str], images: Path, output: Path, *options: str) -> subprocess.Popen[str]:
    settings = ["train.steps=12", "train.batch_size=6", "train.optimiser=sgd", "size=16", *options]
    flags = [part for s in settings for part in (["--set", s] if "=" in s else [s])]
    return subprocess.Popen(
        [*start, "train", "simsiam", "--data", str(images), "--output", str(output), "--json", *flags],
        env={**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(output.parent / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def steps(output: Path) -> list[dict[str, Any]]:
    found = (json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines())
    return [line for line in found if "loss" in line]


@pytest.mark.slow
def test_two_processes_train_stop_and_go_on(tmp_path: Path, images: Path) -> None:
    alone = command(SHOWTELL, images, tmp_path / "one")
    assert json.loads(alone.communicate(timeout=300)[0])["steps"] == 12
    stopped = command(TORCHRUN, images, tmp_path / "two", "train.prefetch=1")
    while not (tmp_path / "two" / "metrics.jsonl").exists() or len(steps(tmp_path / "two")) < 3:
        assert stopped.poll() is None, stopped.communicate()
        time.sleep(0.02)
    stopped.send_signal(signal.SIGINT)  # torchrun alone, which forwards it
    said = stopped.communicate(timeout=300)[1]
    assert stopped.returncode != 0
    saved = json.loads((tmp_path / "two" / "state" / "progress.json").read_text())
    if saved["progress"]["step"] < 12:  # else the run was faster than the signal
        assert "with --resume" in said
    assert saved["record"]["processes"] == 2
    resumed = command(TORCHRUN, images, tmp_path / "two", "--resume")
    out, said = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, said
    assert json.loads(out)["steps"] == 12  # one line: from the first process only
    assert said.count("unlabelled images of 16 x 16") == 1
    for ours, theirs in zip(steps(tmp_path / "two"), steps(tmp_path / "one"), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=2e-3)
        assert ours["learning_rate"] == theirs["learning_rate"]


@pytest.mark.slow
def test_a_user_error_has_no_traceback_into_the_package(tmp_path: Path, images: Path) -> None:
    process = command(TORCHRUN, tmp_path / "nowhere", tmp_path / "two")
    out, said = process.communicate(timeout=300)
    assert process.returncode != 0
    assert out == ""
    assert "nowhere" in said
    assert "internal error" not in said
    assert "src/showtell" not in said
