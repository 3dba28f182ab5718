"""SimCLR, BYOL and SimSiam: equations, gradients, statistics, overfitting and resumed runs."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from showtell.data.batch import Batch, ImageBatch
from showtell.errors import UsageError
from showtell.nn.momentum import cosine_momentum
from showtell.objectives.views import byol_loss, nt_xent, simsiam_loss
from showtell.protocols import HasAfterStep, ImageEncoder, Trainable
from showtell.systems.byol import BYOL, BYOLConfig
from showtell.systems.simclr import SimCLR, SimCLRConfig
from showtell.systems.simsiam import SimSiam, SimSiamConfig
from showtell.train.config import TrainConfig
from showtell.train.loop import train
from support.two_views import SMALL, build, load_batch


@pytest.fixture(params=SMALL)
def system(request) -> nn.Module:
    return build(request.param)


def norms(system: nn.Module) -> list[nn.Module]:
    return [m for m in system.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


def test_they_keep_their_protocols(system) -> None:
    assert isinstance(system, Trainable)
    assert isinstance(system, ImageEncoder)
    assert system(load_batch(0)).losses.keys() == system.loss_weights.keys()
    encoded = system.eval().encode_images(load_batch(0))
    assert encoded.tokens.shape == (32, 36, 32)
    torch.testing.assert_close(encoded.pooled, encoded.tokens.mean(1))


def test_bytes_and_floats_of_an_image_have_the_same_vector(system) -> None:
    pixels = load_batch(0).images.pixels
    as_floats = system.eval().encode_images(Batch(ImageBatch(pixels=pixels / 255))).pooled
    torch.testing.assert_close(system.encode_images(Batch(ImageBatch(pixels=pixels))).pooled, as_floats)


def test_the_gradient_reaches_all_but_the_teacher(system) -> None:
    for module in system.modules():  # a block starts as the identity, which hides its inside
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
    sum(system(load_batch(0)).losses.values()).backward()
    silent = [n for n, p in system.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == [n for n, _ in system.named_parameters() if n.startswith("teacher.")]


def test_evaluation_changes_nothing(system) -> None:
    before = copy.deepcopy(system.eval().state_dict())
    system.encode_images(load_batch(0))
    system(load_batch(0))
    assert all(torch.equal(t, before[n]) for n, t in system.state_dict().items())


def test_the_equations_of_the_figures() -> None:
    views = load_batch(0).images.views
    simclr = build("simclr").eval()
    z = [simclr.projector(simclr.tower(v)) for v in views]
    torch.testing.assert_close(simclr(Batch(ImageBatch(views=views))).losses["nt_xent"], nt_xent(*z, 0.5))
    byol = build("byol").eval()
    q = [byol.predictor(byol.projector(byol.tower(v))) for v in views]
    t = [byol.teacher.net.projector(byol.teacher.net.tower(v)) for v in views]
    expected = byol_loss(q[0], t[1]) + byol_loss(q[1], t[0])
    torch.testing.assert_close(byol(Batch(ImageBatch(views=views))).losses["byol"], expected)
    simsiam = build("simsiam").eval()
    z = [simsiam.projector(simsiam.tower(v)) for v in views]
    p = [simsiam.predictor(x) for x in z]
    expected = simsiam_loss(p[0], z[1]) / 2 + simsiam_loss(p[1], z[0]) / 2
    torch.testing.assert_close(simsiam(Batch(ImageBatch(views=views))).losses["simsiam"], expected)


def test_swapping_the_views_keeps_the_loss(system) -> None:
    batch = load_batch(0)
    (loss,) = system(batch).losses.values()
    (exchanged,) = system(Batch(ImageBatch(views=batch.images.views.flip(0)))).losses.values()
    torch.testing.assert_close(loss, exchanged)


def test_simsiam_stops_the_gradient_of_targets() -> None:
    """The gradient of the whole equals that of predictions against targets computed apart."""
    system, apart = build("simsiam").eval(), build("simsiam").eval()
    views = load_batch(0).images.views
    system(Batch(ImageBatch(views=views))).losses["simsiam"].backward()
    with torch.no_grad():
        targets = [apart.projector(apart.tower(v)) for v in views]
    p = [apart.predictor(apart.projector(apart.tower(v))) for v in views]
    cosine = nn.functional.cosine_similarity
    (-(cosine(p[0], targets[1]) + cosine(p[1], targets[0])).mean() / 2).backward()
    for (name, ours), theirs in zip(system.named_parameters(), apart.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, msg=name, atol=1e-6, rtol=1e-4)


def test_after_step_moves_byols_teacher_by_the_schedule() -> None:
    system = build("byol")
    slow = [p.clone() for p in system.teacher.parameters()]
    with torch.no_grad():
        for p in system.tower.parameters():
            p.add_(1)
    step = system(load_batch(0))
    for k in range(3):
        system.after_step(step)
        tau = cosine_momentum(k, 200, 0.9)
        students = [*system.tower.parameters(), *system.projector.parameters()]
        slow = [tau * s + (1 - tau) * p.detach() for s, p in zip(slow, students, strict=True)]
        for teacher, expected in zip(system.teacher.parameters(), slow, strict=True):
            torch.testing.assert_close(teacher, expected)
    assert int(system.updates) == 3


@pytest.mark.parametrize("name", SMALL)
def test_joint_statistics_are_those_of_all_views(name) -> None:
    """Joint, the first batch norm has the statistics of both views; apart, of one after the other."""
    batch = load_batch(0)
    dark = Batch(ImageBatch(views=torch.stack([batch.images.views[0], batch.images.views[1] * 0.2])))
    joint, apart = build(name, joint_statistics=True), build(name, joint_statistics=False)
    joint(dark)
    apart(dark)
    firsts = [next(m for m in s.tower.modules() if isinstance(m, nn.BatchNorm2d)) for s in (joint, apart)]
    assert [int(m.num_batches_tracked) for m in firsts] == [1, 2]
    conv = joint.tower.net.stem[0][0]
    with torch.no_grad():
        means = [conv(joint.tower.normalise(v)).mean((0, 2, 3)) for v in dark.images.views]
    torch.testing.assert_close(firsts[0].running_mean, 0.1 * (means[0] + means[1]) / 2)
    torch.testing.assert_close(firsts[1].running_mean, 0.09 * means[0] + 0.1 * means[1])


def test_the_papers_numbers_are_the_defaults() -> None:
    with torch.device("meta"):
        simclr, byol, simsiam = SimCLR(SimCLRConfig()), BYOL(BYOLConfig()), SimSiam(SimSiamConfig())

    def widths(net: nn.Module) -> list[tuple[int, int, bool]]:
        return [
            (m.in_features, m.out_features, m.bias is not None)
            for m in net.modules()
            if isinstance(m, nn.Linear)
        ]

    assert widths(simclr.projector) == [(2048, 2048, False), (2048, 128, False)]
    assert widths(byol.projector) == [(2048, 4096, False), (4096, 256, False)]
    assert widths(byol.predictor) == [(256, 4096, False), (4096, 256, False)]
    assert widths(simsiam.projector) == [(2048, 2048, False)] * 3
    assert widths(simsiam.predictor) == [(2048, 512, False), (512, 2048, True)]
    assert [len(norms(x)) for x in (simclr.projector, byol.projector, simsiam.projector)] == [2, 1, 3]
    assert [len(norms(x)) for x in (byol.predictor, simsiam.predictor)] == [1, 1]
    assert (SimCLRConfig().temperature, BYOLConfig().momentum) == (0.1, 0.996)


def test_an_unknown_backbone_is_named() -> None:
    with pytest.raises(UsageError, match=r"'resnet19'.*resnet18, resnet34, resnet50"):
        SimSiam(SimSiamConfig(backbone="resnet19"))


def test_it_overfits_one_batch(system) -> None:
    """Untrained the losses are about 3, 4 and 0; the last two end at 0 and -1."""
    bounds = {"nt_xent": 2.4, "byol": 0.5, "simsiam": -0.6}
    optimiser = torch.optim.AdamW([p for p in system.parameters() if p.requires_grad], 3e-3)
    batch = load_batch(0)
    for _ in range(60):
        step = system(batch)
        ((name, loss),) = step.losses.items()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if isinstance(system, HasAfterStep):
            system.after_step(step)
    assert loss < bounds[name]


def test_a_resumed_run_equals_an_uninterrupted_one(system, tmp_path: Path) -> None:
    config = TrainConfig(steps=6, batch_size=8, learning_rate=3e-3, warmup_steps=2, validate_every=0, seed=3)

    def run(folder: str, system: nn.Module, resume: bool = False, until: int = 6) -> None:
        def load(index: int) -> Batch:
            if index >= until:
                raise KeyboardInterrupt
            return load_batch(index, 8)

        settings = replace(config, checkpoint_every=3, prefetch=1)
        train(system, load, settings, tmp_path / folder, finish=lambda folder: None, resume=resume)

    name = type(system).__name__.lower()
    run("whole", system)
    with pytest.raises(KeyboardInterrupt):
        run("halves", build(name), until=4)
    resumed = build(name, seed=9)
    run("halves", resumed, resume=True)
    for key, tensor in system.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[key]), key
