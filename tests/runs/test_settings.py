import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from showtell.errors import UsageError
from showtell.runs.settings import apply, record
from showtell.train.config import TrainConfig


@dataclass(frozen=True)
class Cell:
    cell: Literal["lstm", "gru"] = "lstm"
    depth: Literal[1, 2, 3] = 3
    dropout: float | None = None
    sizes: tuple[int, ...] = ()
    name: str = "none of these"


@dataclass(frozen=True)
class Other:
    heads: int = 8


@dataclass(frozen=True)
class Recipe:
    system: Cell | Other = field(default_factory=Cell)
    train: TrainConfig = field(default_factory=TrainConfig)
    shuffle: bool = True
    folder: Path = Path("runs")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("train.steps=200", 200),
        ("train.learning_rate=1e-4", 1e-4),
        ("train.learning_rate = 3", 3.0),
        ("train.betas=0.8,0.95", (0.8, 0.95)),
        ("train.betas=(0.8, 0.95)", (0.8, 0.95)),
        ("system.cell=gru", "gru"),
        ("system.depth=2", 2),
        ("system.dropout=0.5", 0.5),
        ("system.dropout=none", None),
        ("system.sizes=1,2,3", (1, 2, 3)),
        ("system.sizes=", ()),
        ("system.name=a=b 图", "a=b 图"),
        ("shuffle=false", False),
        ("folder=图/runs", Path("图/runs")),
    ],
)
def test_values_are_read_by_annotation(setting: str, value: object) -> None:
    changed = apply(Recipe(), [setting])
    out: object = changed
    for part in setting.partition("=")[0].strip().split("."):
        out = getattr(out, part)
    assert out == value
    assert type(out) is type(value) or isinstance(out, Path)
    assert Recipe() == Recipe()


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("train.stpes=200", r"'train.stpes'; did you mean train.steps\?"),
        ("steps=200", r"did you mean train.steps\?"),
        ("system.sell=gru", r"did you mean system.cell\?"),
        ("system.heads=4", "no setting is called 'system.heads'"),
        ("train=5", "no setting is called 'train'"),
        ("train.steps.more=5", "no setting is called"),
        ("=5", "no setting is called ''"),
        ("train.steps", "train.steps has no value: write train.steps=..., a whole number"),
        ("steps", "write name=value"),
        ("train.steps=1e3", "train.steps=1e3: expected a whole number"),
        ("train.steps=", "expected a whole number"),
        ("train.learning_rate=fast", "expected a number"),
        ("train.learning_rate=nan", "expected a number"),
        ("train.betas=0.9", "expected 2 values separated by commas: a number, a number"),
        ("train.schedule=cosinus", "expected one of cosine, one_cycle, linear, constant"),
        ("system.depth=4", "expected one of 1, 2, 3"),
        ("system.dropout=half", "expected a number or none"),
        ("system.sizes=1,x", "separated by commas, each a whole number"),
        ("shuffle=yes", "expected true or false"),
        ("train.steps=0", "train.steps is 0; give 1 or more"),
    ],
)
def test_a_wrong_setting_is_a_usage_error_that_helps(setting: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        apply(Recipe(), [setting])


def test_what_a_field_holds_decides_its_settings() -> None:
    assert apply(Recipe(system=Other()), ["system.heads=4"]).system == Other(4)


def test_settings_are_applied_together_and_the_later_holds() -> None:
    @dataclass(frozen=True)
    class Interval:
        low: int = 0
        high: int = 1

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError(f"low {self.low} is above high {self.high}")

    assert apply(Interval(), ["low=5", "high=8", "high=9"]) == Interval(5, 9)
    with pytest.raises(UsageError, match="low 5 is above high 1"):
        apply(Interval(), ["low=5"])


def test_the_record_is_plain_json() -> None:
    plain = record(Recipe())
    assert json.loads(json.dumps(plain)) == plain
    assert plain["train"]["betas"] == [0.9, 0.999]
    assert plain["folder"] == "runs"
    with pytest.raises(TypeError, match="cannot record"):
        record(Recipe(folder=object()))  # type: ignore[arg-type]
