import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from showtell.errors import UsageError
from showtell.train.config import TrainConfig
from showtell.train.optimiser import build_optimiser
from showtell.train.schedule import learning_rate

BASE = TrainConfig(steps=200, warmup_steps=20, learning_rate=0.5)
SHAPES = ("cosine", "one_cycle", "linear", "constant")


def rates(**changes: object) -> list[float]:
    config = replace(BASE, **changes)
    return [learning_rate(config, step) for step in range(config.steps)]


@pytest.mark.parametrize("shape", SHAPES)
def test_rises_to_the_peak_then_never_rises_again(shape: str) -> None:
    rate = rates(schedule=shape)
    assert rate[:20] == sorted(rate[:20])
    assert rate[20:] == sorted(rate[20:], reverse=True)
    assert max(rate) == rate[19] == pytest.approx(0.5)
    assert rate[-1] > 0
    assert (rate[-1] < 0.01) == (shape != "constant")


def test_cosine_agrees_with_torch() -> None:
    """Against another implementation of the same paper."""
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=200)
    ours = rates(warmup_steps=0, schedule="cosine")
    for step in range(200):
        assert ours[step] == pytest.approx(cosine.get_last_lr()[0], rel=1e-6)
        optimiser.step()
        cosine.step()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_short_run_with_a_long_warm_up_still_has_rates(shape: str) -> None:
    rate = rates(steps=5, warmup_steps=500, schedule=shape)
    assert all(0 < r < 0.5 for r in rate)
    assert math.isfinite(rates(steps=5, warmup_steps=5, schedule=shape)[-1])


def test_matrices_decay_and_vectors_do_not() -> None:
    system = nn.Sequential(nn.Embedding(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    system[2].weight.requires_grad_(False)
    decaying, free = build_optimiser(system, replace(BASE, weight_decay=0.3)).param_groups
    assert [tuple(p.shape) for p in decaying["params"]] == [(3, 4)]
    assert [tuple(p.shape) for p in free["params"]] == [(4,), (4,), (2,)]
    assert decaying["weight_decay"] == 0.3
    assert free["weight_decay"] == 0.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"prefetch": 0},
        {"learning_rate": 0.0},
        {"learning_rate": math.nan},
        {"clip_norm": -1.0},
        {"ema": 1.0},
        {"betas": (0.9, 1.0)},
        {"seed": -1},
    ],
    ids=str,
)
def test_invalid_settings_are_named(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=f"train.{next(iter(wrong))}"):
        replace(BASE, **wrong)
