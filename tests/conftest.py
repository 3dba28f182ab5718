"""Settings of every test: nothing reaches for the network, real data is found or skipped."""

import io
import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command does: before torch is loaded

# The same cases at every run, so that a failure is of the change that was made. Others:
# `pytest --hypothesis-profile=default`.
settings.register_profile("same", derandomize=True)
settings.load_profile("same")

# Shapes in signatures are checked in tests alone; the hook sees modules that are imported after it.
install_import_hook(["showtell.objectives", "showtell.nn"], "beartype.beartype")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data sets kept beside the clone (or at SHOWTELL_DATA); tests that need them skip without."""
    folder = Path(os.environ.get("SHOWTELL_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(
            f"no data sets at {folder}; set SHOWTELL_DATA to the folder that holds flickr8k/ and photos/"
        )
    return folder


@pytest.fixture
def ask(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    """Run a command; return its status, its JSON lines, and what it said to the person."""
    from showtell.cli.main import run

    def ask(*arguments: object, stdin: str = "") -> tuple[int, list[dict], str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        status = run([*map(str, arguments), "--json"])
        out, err = capsys.readouterr()
        return status, [json.loads(line) for line in out.splitlines()], err

    return ask


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    from support.checkpoints import tiny_checkpoint

    return tiny_checkpoint(tmp_path_factory.mktemp("checkpoint") / "model")


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> Path:
    """A small dual encoder that has learned four colours."""
    from support.dual import colour_clip

    return colour_clip(tmp_path_factory.mktemp("clip") / "model")
