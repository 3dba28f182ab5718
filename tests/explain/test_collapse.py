"""The collapse monitor: its figures against loops; runs that collapse by design, and healthy ones."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from showtell.data.batch import Batch, ImageBatch
from showtell.data.images.augment import SIMSIAM_CIFAR, Augmentation, draw_views
from showtell.explain.collapse import CollapseMonitor, effective_rank, health
from showtell.protocols import HasAfterStep
from showtell.systems import byol, simsiam
from support.two_views import SMALL, build, images

STEPS, EVERY, BATCH = 200, 20, 32
VIEW = Augmentation(**{**vars(SIMSIAM_CIFAR[0]), "size": 8})


def draw(rows: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_figures_against_loops() -> None:
    first, second = draw(5, 3), draw(5, 3, 1)
    found = health(first, second)
    a, b = ([[x / math.hypot(*row) for x in row] for row in z.tolist()] for z in (first, second))
    deviations = []
    for d in range(3):
        mean = sum(row[d] for row in a) / 5
        deviations.append(math.sqrt(sum((row[d] - mean) ** 2 for row in a) / 4))
    assert found.std == pytest.approx(sum(deviations) / 3 * math.sqrt(3))
    assert found.alignment == pytest.approx(sum(math.dist(x, y) ** 2 for x, y in zip(a, b, strict=True)) / 5)
    pairs = [math.exp(-2 * math.dist(a[i], a[j]) ** 2) for i in range(5) for j in range(i)]
    assert found.uniformity == pytest.approx(math.log(sum(pairs) / len(pairs)))


def test_known_ranks() -> None:
    assert effective_rank(torch.eye(7, dtype=torch.float64)) == pytest.approx(7)
    assert effective_rank(torch.ones(9, 4)) == pytest.approx(1, abs=1e-3)
    assert effective_rank(draw(9, 1) @ draw(1, 6)) == pytest.approx(1, abs=1e-6)
    assert effective_rank(draw(2000, 16)) == pytest.approx(16, rel=0.02)
    entropy = sum(-share * math.log(share) for share in (4 / 6, 1 / 6, 1 / 6))  # squares of 2, 1, 1
    assert effective_rank(torch.tensor([[2.0, 0, 0], [0, 1, 0], [0, 0, 1]])) == pytest.approx(
        math.exp(entropy)
    )


def test_uniform_directions_and_one_direction() -> None:
    even = health(draw(2000, 16), draw(2000, 16, 1))
    assert even.std == pytest.approx(1, abs=0.02)
    assert even.alignment == pytest.approx(2, abs=0.1)
    alike = health(torch.ones(10, 4), 5 * torch.ones(10, 4))
    assert (alike.std, alike.alignment, alike.uniformity) == pytest.approx((0, 0, 0), abs=1e-6)


def test_the_alarm_waits_for_a_second_reading_and_can_clear() -> None:
    monitor, good, alike = CollapseMonitor(), draw(20, 8), torch.ones(20, 8)
    for step, (features, collapsed) in enumerate(
        [(good, False), (alike, False), (good, False), (alike, False), (alike, True), (good, False)]
    ):
        assert monitor.read(step, features, features) == monitor.history[step][1]
        assert monitor.collapsed is collapsed
        assert ("has collapsed" in monitor.verdict()) is collapsed
    assert [step for step, _ in monitor.history] == [*range(6)]


@pytest.mark.parametrize(
    "features",
    [torch.zeros(16, 4), torch.ones(16, 2), torch.tensor([[1.0, 1.0], [-1.0, -1.0]]).repeat(8, 1)],
    ids=["nothing", "a point", "a line"],
)
def test_the_ways_to_collapse(features) -> None:
    """On a line the standard deviation is as large as can be, yet features differ in sign alone."""
    monitor = CollapseMonitor(patience=1)
    monitor.read(0, features, features)
    assert monitor.collapsed


def plant(name: str, system: nn.Module, patch: pytest.MonkeyPatch) -> None:
    """Remove the stop-gradient; BYOL's teacher is then the student itself."""

    def cosine(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return -F.cosine_similarity(prediction, target, dim=1).mean()

    if name == "simsiam":
        patch.setattr(simsiam, "simsiam_loss", cosine)
    else:
        patch.setattr(byol, "byol_loss", lambda q, z: 2 + 2 * cosine(q, z))
        system.teacher.forward = system.project


def run(name: str, seed: int, steps: int = STEPS, planted: bool = False) -> CollapseMonitor:
    """Train until the alarm or the end; the monitor reads held-out images."""
    monitor, held_out = CollapseMonitor(), images(64, seed=99)
    generator = torch.Generator().manual_seed(seed)
    system = build(name, seed)
    optimiser = torch.optim.AdamW([p for p in system.parameters() if p.requires_grad], 3e-3)
    with pytest.MonkeyPatch.context() as patch:
        if planted:
            plant(name, system, patch)
        for step in range(1, steps + 1):
            views = draw_views(images(BATCH, seed=step % 32), (VIEW, VIEW), generator)
            outcome = system.train()(Batch(ImageBatch(views=views)))
            optimiser.zero_grad()
            sum(outcome.losses.values()).backward()
            optimiser.step()
            if isinstance(system, HasAfterStep):
                system.after_step(outcome)
            if step % EVERY == 0:
                views = draw_views(held_out, (VIEW, VIEW), torch.Generator().manual_seed(0))
                with torch.no_grad():
                    monitor.read(step, *(system.eval().project(view) for view in views))
                if monitor.collapsed:
                    break
    return monitor


@pytest.mark.parametrize("name", ["byol", "simsiam"])
def test_without_the_stop_gradient_it_collapses_and_is_flagged(name) -> None:
    monitor = run(name, 0, planted=True)
    assert monitor.collapsed
    assert monitor.history[-1][0] <= STEPS


@pytest.mark.parametrize("name", SMALL)
def test_a_healthy_run_is_not_flagged(name) -> None:
    assert not run(name, 0, steps=80).collapsed


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", SMALL)
def test_no_healthy_run_is_ever_flagged(name, seed) -> None:
    assert not run(name, seed).collapsed


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("name", ["byol", "simsiam"])
def test_every_planted_collapse_is_flagged(name, seed) -> None:
    assert run(name, seed, planted=True).collapsed
