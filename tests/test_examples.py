"""The examples run as they stand, and learn."""

import runpy
import shutil
from pathlib import Path
from statistics import mean

import pytest

from showtell.data.images.samples import sample_photographs

EXAMPLES = Path(__file__).parents[1] / "examples"
STEPS = {"simsiam": 8, "clip": 15, "captioner": 12}


def train(name: str, data: Path | None = None, steps: int = 0) -> list[float]:
    main = runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]
    return main(data, steps=steps or STEPS[name], batch_size=8)


def test_each_example_is_run_here() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(STEPS)


@pytest.mark.parametrize("name", STEPS)
def test_the_loss_falls(name: str, capsys: pytest.CaptureFixture) -> None:
    losses = train(name)
    assert len(losses) == STEPS[name]
    assert mean(losses[-4:]) < mean(losses[:4]) - 0.1
    assert "step    0" in capsys.readouterr().out


@pytest.mark.parametrize("name", STEPS)
def test_it_reads_a_folder_of_images_with_captions(name: str, tmp_path: Path) -> None:
    for photograph in sample_photographs()[:3]:
        shutil.copy(photograph, tmp_path)
        (tmp_path / photograph.name).with_suffix(".txt").write_text(f"a photograph of {photograph.stem}")
    losses = train(name, tmp_path, steps=2)
    assert len(losses) == 2
    assert losses[0] != losses[1]
