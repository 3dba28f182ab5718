"""Each optimiser against its equations; learning rates of parts; saving and resuming."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from showtell.data.batch import Batch
from showtell.errors import UserError
from showtell.protocols import HasLearningRates, Rate, Step
from showtell.train.config import TrainConfig
from showtell.train.loop import train
from showtell.train.optimiser import build_optimiser, set_rates
from showtell.train.schedule import learning_rate
from support.toy import CONFIG, Line, error, finish, load_batch

Name = Literal["adamw", "lars", "sgd"]
NAMES: tuple[Name, ...] = ("adamw", "lars", "sgd")


def lars_by_hand(
    weight: list[float], gradient: list[float], velocity: list[float], rate: float, decay: float, adapt: bool
) -> tuple[list[float], list[float]]:
    """Algorithm 1 of You et al. 2017 for one layer, in loops; momentum 0.9, eta 0.001."""
    size = math.sqrt(sum(w * w for w in weight))
    slope = math.sqrt(sum(g * g for g in gradient))
    trust = 0.001 * size / (slope + decay * size) if adapt and size > 0 and slope > 0 else 1.0
    velocity = [
        0.9 * v + rate * trust * (g + decay * w) for v, g, w in zip(velocity, gradient, weight, strict=True)
    ]
    return [w - v for w, v in zip(weight, velocity, strict=True)], velocity


def test_lars_is_algorithm_1() -> None:
    torch.manual_seed(0)
    system = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2), nn.Linear(2, 2, bias=False)).double()
    nn.init.zeros_(system[2].weight)  # type: ignore[arg-type]
    config = replace(CONFIG, optimiser="lars", weight_decay=0.3, learning_rate=2.0)
    optimiser = build_optimiser(system, config)
    by_hand = {n: (p.flatten().tolist(), [0.0] * p.numel()) for n, p in system.named_parameters()}
    for step in range(4):
        set_rates(optimiser, config, 2.0 - step / 3)
        for name, parameter in system.named_parameters():
            parameter.grad = torch.randn_like(parameter) if (step, name) != (1, "0.weight") else None
            if parameter.grad is not None:
                matrix = parameter.ndim == 2
                by_hand[name] = lars_by_hand(
                    *(by_hand[name][0], parameter.grad.flatten().tolist(), by_hand[name][1]),
                    rate=2.0 - step / 3,
                    decay=0.3 if matrix else 0.0,
                    adapt=matrix,
                )
        optimiser.step()
    for name, parameter in system.named_parameters():
        expected = torch.tensor(by_hand[name][0], dtype=torch.float64).view_as(parameter)
        torch.testing.assert_close(parameter.detach(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_sgd_is_momentum_with_decay_in_the_gradient(momentum: float) -> None:
    torch.manual_seed(0)
    system = nn.Linear(3, 2).double()
    config = replace(CONFIG, optimiser="sgd", momentum=momentum, weight_decay=0.3, learning_rate=0.1)
    optimiser = build_optimiser(system, config)
    expected = {n: (p.detach().clone(), torch.zeros_like(p)) for n, p in system.named_parameters()}
    for _ in range(3):
        for name, parameter in system.named_parameters():
            parameter.grad = torch.randn_like(parameter)
            weight, velocity = expected[name]
            decay = 0.3 if parameter.ndim == 2 else 0.0
            velocity = momentum * velocity + parameter.grad + decay * weight
            expected[name] = (weight - 0.1 * velocity, velocity)
        optimiser.step()
    for name, parameter in system.named_parameters():
        torch.testing.assert_close(parameter.detach(), expected[name][0])


class Parts(nn.Module):
    """A tower with a low learning rate, a predictor with a constant one, and the rest."""

    rates: Mapping[str, Rate] = {
        "tower.": Rate(0.1),
        "tower.last": Rate(0.5),
        "predictor.": Rate(constant=True),
    }

    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.ModuleDict({"first": nn.Linear(2, 2), "last": nn.Linear(2, 2)})
        self.predictor = nn.Linear(2, 2)
        self.head = nn.Linear(2, 2)


@pytest.mark.parametrize("name", NAMES)
def test_parts_have_their_own_learning_rates(name: Name) -> None:
    system = Parts()
    assert isinstance(system, HasLearningRates)
    assert not isinstance(Line(), HasLearningRates)
    config = replace(CONFIG, optimiser=name, learning_rate=0.5, weight_decay=0.25)
    optimiser = build_optimiser(system, config)
    set_rates(optimiser, config, 0.2)
    found = {id(p): (g["lr"], g["weight_decay"]) for g in optimiser.param_groups for p in g["params"]}
    expected = {"tower.first": 0.02, "tower.last": 0.1, "predictor": 0.5, "head": 0.2}
    assert len(found) == 8
    for part, rate in expected.items():
        linear = system.get_submodule(part)
        assert found[id(linear.weight)] == (pytest.approx(rate), 0.25)
        assert found[id(linear.bias)] == (pytest.approx(rate), 0.0)


def test_a_rate_without_parameters_is_named() -> None:
    system = Parts()
    system.rates = {"projector.": Rate(2.0)}
    with pytest.raises(ValueError, match=r"rates for \['projector\.'\]"):
        build_optimiser(system, CONFIG)


def test_the_loop_follows_the_rates_of_parts(tmp_path: Path) -> None:
    """A warm-up from almost 0, and a part whose rate is constant."""

    class Two(Line):
        rates: Mapping[str, Rate] = {"other.": Rate(constant=True)}

        def __init__(self) -> None:
            super().__init__()
            self.other = nn.Linear(4, 1)

        def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
            out = (
                self.linear(batch.images.features[:, 0, :4]) + self.other(batch.images.features[:, 0, :4])
            )[:, 0]
            fit = (out - batch.images.features[:, 0, 4]).square().mean()
            return Step({"fit": fit, "small": 0 * out.sum()}, {"one": torch.ones(1)})

    system = Two()
    before = {n: p.detach().clone() for n, p in system.named_parameters()}
    config = replace(CONFIG, steps=1, warmup_steps=1000, ema=0.0, learning_rate=0.1, clip_norm=0.0)
    train(system, load_batch, config, tmp_path, finish=finish(system))
    moved = {n: float((p.detach() - before[n]).abs().max()) for n, p in system.named_parameters()}
    assert moved["other.weight"] == pytest.approx(0.1, rel=0.01)  # AdamW's first step is its rate
    assert moved["linear.weight"] == pytest.approx(0.0001, rel=0.05)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("changes", [{}, {"momentum": 0.0}, {"precision": "fp16"}], ids=str)
def test_resumed_is_bit_identical(tmp_path: Path, name: Name, changes: dict[str, Any]) -> None:
    config = replace(CONFIG, optimiser=name, steps=12, learning_rate=0.01, **changes)

    def run(output: Path, stop_at: int = -1, resume: bool = False) -> dict[str, Tensor]:
        def load(index: int) -> Batch:
            if index == stop_at:
                raise UserError("stop")
            return load_batch(index)

        system = Line()
        train(system, load, config, output, finish=finish(system), validate=error, resume=resume)
        return system.state_dict()

    run(tmp_path / "whole")
    with pytest.raises(UserError):
        run(tmp_path / "cut", stop_at=8)
    run(tmp_path / "cut", resume=True)
    for file in ("state/state.safetensors", "model/weights.safetensors", "state/progress.json"):
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def lines(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


class Plain(Line):
    """Without noise; records the type that its layer computes in, and the calls of `after_step`."""

    def __init__(self) -> None:
        super().__init__()
        self.loss_weights = {"fit": 0.01, "small": 0.0}  # gradients that fit fp16 when scaled by 2^16
        self.seen: set[torch.dtype] = set()
        self.explode_at = -1.0

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        out = self.linear(batch.images.features[:, 0, :4])[:, 0]
        self.seen.add(out.dtype)
        if float(self.updates) == self.explode_at:
            out = out * 2e4  # its scaled gradient overflows float16
        fit = (out.float() - batch.images.features[:, 0, 4]).square().mean()
        return Step({"fit": fit, "small": 0 * out.float().sum()}, {"one": torch.ones(1)})


def test_fp16_computes_in_fp16_and_learns_like_float32(tmp_path: Path) -> None:
    half, single = Plain(), Plain()
    for name, system in (("fp16", half), ("float32", single)):
        # Not AdamW, whose steps do not depend on the scale of gradients.
        config = replace(CONFIG, precision=name, ema=0.0, optimiser="sgd", momentum=0.5, learning_rate=2.0)
        train(system, load_batch, config, tmp_path / name, finish=finish(system))
    assert half.seen == {torch.float16}
    assert half.linear.weight.dtype == torch.float32
    torch.testing.assert_close(half.linear.weight, single.linear.weight, rtol=0.02, atol=0.01)
    assert half.updates == 30
    for a, b in zip(lines(tmp_path / "fp16"), lines(tmp_path / "float32"), strict=True):
        assert a["gradient_norm"] == pytest.approx(b["gradient_norm"], rel=0.05)


def test_an_overflow_in_fp16_changes_no_parameter_and_halves_the_scale(tmp_path: Path) -> None:
    system = Plain()
    system.explode_at = 4.0
    config = replace(CONFIG, precision="fp16", steps=40, checkpoint_every=1)
    with pytest.raises(UserError, match=r"the gradient became (inf|nan) at step 21") as caught:
        train(system, load_batch, config, tmp_path, finish=finish(system))
    assert "batch 20" in str(caught.value)
    norms = [line["gradient_norm"] for line in lines(tmp_path)]
    assert all(norm is not None for norm in norms[:4])
    assert norms[4:] == [None] * 16  # 2^16, halved sixteen times, is 1: then the gradient itself is at fault
    assert system.updates == 4
    progress = json.loads((tmp_path / "state" / "progress.json").read_text())["progress"]
    assert (progress["step"], progress["loss_scale"]) == (20, 1.0)


def test_the_scale_grows_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("showtell.train.update.GROW_AFTER", 10)
    system = Plain()
    train(system, load_batch, replace(CONFIG, precision="fp16"), tmp_path, finish=finish(system))
    progress = json.loads((tmp_path / "state" / "progress.json").read_text())["progress"]
    assert (progress["loss_scale"], progress["sound"]) == (2.0**19, 0)


BASE = TrainConfig(steps=200, warmup_steps=20, learning_rate=0.5)


def theirs(scheduler: Any, steps: int) -> list[float]:
    rates = []
    for _ in range(steps):
        rates.append(scheduler.get_last_lr()[0])
        scheduler.optimizer.step()
        scheduler.step()
    return rates


def test_linear_agrees_with_torch() -> None:
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    falling = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, total_iters=180)
    config = replace(BASE, schedule="linear")
    assert [learning_rate(config, step) for step in range(20, 200)] == pytest.approx(theirs(falling, 180))
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    rising = torch.optim.lr_scheduler.LinearLR(optimiser, 1 / 20, 1.0, total_iters=19)
    assert [learning_rate(config, step) for step in range(20)] == pytest.approx(theirs(rising, 20))


def test_one_cycle_agrees_with_torch() -> None:
    """Its rise and its fall; torch reaches the peak once, between them, ours twice."""
    config = replace(BASE, schedule="one_cycle")
    ours = [learning_rate(config, step) for step in range(200)]
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=0.5, total_steps=201, pct_start=21 / 201, div_factor=25, final_div_factor=1e5 / 25
    )
    other = theirs(cycle, 200)
    assert ours[:20] == pytest.approx(other[1:21])
    assert ours[20:] == pytest.approx(other[20:])
