"""Training in two processes against training in one."""

import json
import logging
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch, ImageBatch, TextBatch
from showtell.errors import UsageError, UserError
from showtell.nn.cpu.batch_norm import synchronise
from showtell.progress import report, shown_by
from showtell.protocols import Step
from showtell.systems.byol import BYOL, BYOLConfig
from showtell.systems.clip import CLIP, CLIPConfig, TowerConfig
from showtell.systems.show_and_tell import ShowAndTell, ShowAndTellConfig
from showtell.systems.simclr import SimCLR, SimCLRConfig
from showtell.train.config import TrainConfig
from showtell.train.distributed import quiet
from showtell.train.loop import train
from support.together import Together
from support.toy import CONFIG, SAMPLER, Line, data, error, finish, load_batch

QUIET = replace(CONFIG, steps=6, ema=0.0, checkpoint_every=100, validate_every=0)


class Sure(Line):
    """Without noise, so that one and two processes agree; a queue receives the rows of the batches."""

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        out = self.linear(batch.images.features[:, 0, :4])[:, 0]
        losses = {
            "fit": F.mse_loss(out, batch.images.features[:, 0, 4]),
            "small": self.linear.weight.square().sum(),
        }
        return Step(losses, {"seen": batch.images.features[:, 0].detach()})

    def after_step(self, step: Step) -> None:
        self.updates += step.carry["seen"].sum()


class Tokens(Line):
    """A loss that is a mean over tokens, whose number differs between the processes."""

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        values = F.one_hot(batch.texts.ids[batch.texts.keep], 4).float()
        fit = F.mse_loss(self.linear(values)[:, 0], values @ torch.tensor([1.0, -2.0, 0.5, 0.0]))
        small = self.linear.weight.square().sum()
        return Step({"fit": fit, "small": small}, {"one": torch.ones(1)}, {"fit": batch.texts.keep.sum()})


class Normed(Line):
    """Batch norm, over parts of different sizes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.norms = nn.ModuleList([nn.BatchNorm1d(4), nn.BatchNorm1d(4, affine=False, momentum=None)])
        self.mix = nn.Linear(4, 4)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        inputs = self.norms[1](self.mix(self.norms[0](batch.images.features[:, 0, :4])).tanh())
        fit = F.mse_loss(self.linear(inputs)[:, 0], batch.images.features[:, 0, 4])
        return Step({"fit": fit, "small": self.linear.weight.square().sum()}, {"one": torch.ones(1)})


class Stack(Line):
    """What sharding must handle: blocks, a scalar, tied and frozen parameters, an unused layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
        self.blocks[2].weight = self.blocks[0].weight
        self.scale = nn.Parameter(torch.tensor(0.5))
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.idle = nn.Linear(3, 3)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        inputs = self.frozen(batch.images.features[:, 0, :4])
        for block in self.blocks:
            inputs = inputs + self.scale * block(inputs).tanh()
        fit = F.mse_loss(self.linear(inputs)[:, 0], batch.images.features[:, 0, 4])
        return Step({"fit": fit, "small": self.linear.weight.square().sum()}, {"one": torch.ones(1)})


class Sometimes(Sure):
    """A layer that only some processes use, and one that none uses."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rare, self.idle = nn.Linear(4, 1), nn.Linear(2, 2)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        step = super().forward(batch, generator)
        rows = batch.images.features[batch.images.features[:, 0, 0] > 0.3]
        extra = self.rare(rows[:, 0, :4]).square().sum() / len(batch) if len(rows) else 0.0
        return Step({**step.losses, "fit": step.losses["fit"] + extra}, step.carry)


class Crossing(Normed):
    """Batch norm behind a large layer that only some processes use.

    Where it is unused, its gradients are averaged before the backward pass of batch norm, elsewhere after it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.rare = nn.Sequential(nn.Linear(4, 50_000), nn.Linear(50_000, 4))

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        features = batch.images.features
        inputs, chosen = self.first(features[:, :, :4]), features[:, 0, 0] > 0.3
        if chosen.any():
            change = torch.zeros_like(inputs)
            change[chosen] = self.rare(inputs[chosen])
            inputs = inputs + 0.1 * change
        features = torch.cat([inputs, features[:, :, 4:]], 2)
        return super().forward(Batch(ImageBatch(features=features)), generator)


def texts(index: int) -> Batch:
    draw = torch.Generator().manual_seed(index)
    lengths = torch.randint(1, 7, (5,), generator=draw)
    return Batch(
        texts=TextBatch(torch.randint(0, 4, (5, 7), generator=draw), torch.arange(7)[None] < lengths[:, None])
    )


def large(index: int) -> Batch:
    return Batch(ImageBatch(features=data()[[*SAMPLER(2 * index), *SAMPLER(2 * index + 1), 3]]))


CLIP_CONFIG = CLIPConfig(
    TowerConfig(8, 2, 16, 1), TowerConfig(8, 2, 16, 1), 8, 4, vocab_size=12, max_length=5, width=6
)


class Pairs(CLIP):
    """A small CLIP."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__(CLIP_CONFIG)


def pairs(index: int) -> Batch:
    """Five images with one, two or no texts."""
    draw = torch.Generator().manual_seed(index)
    owner = torch.tensor([0, 0, 1, 3, 4])
    return Batch(
        ImageBatch(pixels=torch.randint(0, 256, (5, 3, 8, 8), generator=draw, dtype=torch.uint8)),
        TextBatch(
            torch.randint(0, 12, (5, 5), generator=draw),
            torch.arange(5)[None] < torch.tensor([2, 5, 3, 1, 4])[:, None],
            owner=owner,
        ),
    )


@pytest.fixture(scope="module")
def together() -> Iterator[Together]:
    processes = Together()
    yield processes
    processes.close()


class Contrasted(SimCLR):
    """A small SimCLR."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__(SimCLRConfig("resnet_mini", "cifar", hidden_width=8, projection_width=4))


class Bootstrapped(BYOL):
    """A small BYOL, whose teacher has batch norm in training mode."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__(
            BYOLConfig(
                "resnet_mini", "cifar", hidden_width=8, projection_width=4, momentum=0.9, total_steps=9
            )
        )


def views(index: int) -> Batch:
    return Batch(ImageBatch(views=torch.rand(2, 7, 3, 8, 8, generator=torch.Generator().manual_seed(index))))


class Captioner(ShowAndTell):
    """Captions of different lengths, one loss over all their tokens."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__(ShowAndTellConfig(vocab_size=12, feature_width=6, width=8, depth=1, dropout=0.0))


def captions(index: int) -> Batch:
    return replace(pairs(index), images=ImageBatch(features=torch.randn(5, 4, 6, generator=seeded_by(index))))


def seeded_by(index: int) -> torch.Generator:
    return torch.Generator().manual_seed(index)


def run(
    output: Path,
    system: type[nn.Module],
    load: Callable[[int], Batch] = load_batch,
    config: TrainConfig = QUIET,
    **options: Any,
) -> dict[str, Tensor]:
    """Train; return the full tensors of this process's system."""
    made = system()
    options = {"validate": error if isinstance(made, Line) else None, **options}
    train(made, load, config, output, finish=finish(made), **options)
    return {name: tensor.clone() for name, tensor in made.state_dict().items()}


def logged(output: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "items_per_second"} for line in lines]


def same_run(one: Path, two: Path) -> None:
    """States, saved parameters and logs agree to float32."""
    a, b = (load_file(output / "state" / "state.safetensors") for output in (one, two))
    torch.testing.assert_close(a, b, rtol=1e-4, atol=2e-6)
    a, b = (load_file(output / "model" / "weights.safetensors") for output in (one, two))
    torch.testing.assert_close(a, b, rtol=1e-4, atol=2e-6)
    for line, other in zip(logged(one), logged(two), strict=True):
        assert line.keys() == other.keys()
        for figure in line.keys() & {"loss", "losses", "gradient_norm", "validation"}:
            assert line[figure] == pytest.approx(other[figure], rel=1e-4)


@pytest.mark.parametrize(
    ("system", "load", "changes"),
    [
        (Sure, load_batch, {}),
        (Sure, load_batch, {"accumulate": 3, "ema": 0.9, "validate_every": 2}),
        (Sure, load_batch, {"optimiser": "lars", "learning_rate": 30.0}),
        (Tokens, texts, {"batch_size": 5}),
        (Normed, large, {"batch_size": 7, "learning_rate": 0.01}),
        (Sometimes, load_batch, {"optimiser": "sgd"}),
        (Sometimes, load_batch, {"optimiser": "sgd", "accumulate": 3}),
        (Crossing, load_batch, {"optimiser": "sgd", "learning_rate": 1e-3}),
        (Pairs, pairs, {"batch_size": 5, "learning_rate": 1e-3, "metric": "loss"}),
        (Pairs, pairs, {"batch_size": 5, "learning_rate": 1e-3, "chunk_size": 2}),
        (Pairs, pairs, {"batch_size": 5, "learning_rate": 1e-3, "chunk_size": 2, "accumulate": 2}),
        (Contrasted, views, {"batch_size": 7, "optimiser": "sgd", "steps": 2}),
        (Bootstrapped, views, {"batch_size": 7, "optimiser": "sgd", "steps": 2}),
        (Bootstrapped, views, {"batch_size": 7, "optimiser": "sgd", "steps": 2, "shard": True}),
        (Captioner, captions, {"batch_size": 5, "learning_rate": 1e-3}),
        (Stack, load_batch, {"shard": True, "ema": 0.5, "validate_every": 2}),
        (Stack, load_batch, {"shard": True, "optimiser": "lars", "accumulate": 2}),
        (Stack, load_batch, {"shard": True, "optimiser": "sgd"}),
    ],
    ids=lambda value: getattr(value, "__name__", None) or ",".join(value) or "plain",
)
def test_two_processes_do_what_one_does(
    tmp_path: Path,
    together: Together,
    system: type[nn.Module],
    load: Callable[[int], Batch],
    changes: dict[str, Any],
) -> None:
    config = replace(QUIET, **changes)
    run(tmp_path / "one", system, load, config)
    first, second = together(tmp_path, run, tmp_path / "two", system, load, config)
    same_run(tmp_path / "one", tmp_path / "two")
    if not config.shard:
        assert all(torch.equal(first[name], second[name]) for name in first)


IMAGES = torch.randn(7, 3, 4, 5, generator=seeded_by(0), dtype=torch.float64) * 3 + 100


def normalised(parts: int) -> list[Tensor]:
    """Batch norm of this process's images, their gradient, and the running variance."""
    rank = torch.distributed.get_rank() if parts > 1 else 0
    first, last = (7 * index // parts for index in (rank, rank + 1))
    images = IMAGES[first:last].clone().requires_grad_()
    norm = nn.BatchNorm2d(3).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, -2.0, 0.5]))
    synchronise(norm)
    assert isinstance(norm, nn.BatchNorm2d)
    out = norm(images)
    (out.double() * (IMAGES[first:last].sin() + out.double())).sum().backward()
    assert norm.running_var is not None
    assert torch.equal(
        norm.eval()(images),
        nn.functional.batch_norm(images, norm.running_mean, norm.running_var, norm.weight, norm.bias),
    )
    assert images.grad is not None
    return [out.detach(), images.grad, norm.running_var]


def test_batch_norm_over_processes_is_that_of_all_images(tmp_path: Path, together: Together) -> None:
    """Parts of three and four images, far from zero; gradients cross the processes too."""
    (out, gradient, variance), (out2, gradient2, variance2) = together(tmp_path, normalised, 2)
    expected = normalised(1)
    torch.testing.assert_close(torch.cat([out, out2]), expected[0])
    torch.testing.assert_close(torch.cat([gradient, gradient2]), expected[1], atol=1e-9, rtol=1e-7)
    torch.testing.assert_close(variance, expected[2])
    assert torch.equal(variance, variance2)


def test_only_the_first_process_writes(tmp_path: Path, together: Together) -> None:
    together(tmp_path, run, tmp_path / "two", Sure, load_batch, replace(QUIET, watch_every=2))
    assert [line["step"] for line in logged(tmp_path / "two")] == [1, 2, 3, 4, 5, 6, 6]
    assert {path.name for path in (tmp_path / "two").iterdir()} == {"state", "model", "metrics.jsonl"}


def test_the_other_processes_log_errors_alone(caplog: pytest.LogCaptureFixture) -> None:
    reports: list[tuple[Any, ...]] = []
    logger = logging.getLogger("showtell.runs.execute")
    with caplog.at_level("INFO", "showtell"), shown_by(lambda *seen: reports.append(seen)):
        with quiet():
            logger.warning("one image skipped")
            logger.error("the disk is full")
            report("training", 1, 2)
        logger.info("done")
    assert [record.getMessage() for record in caplog.records] == ["the disk is full", "done"]
    assert not reports


def queued(output: Path) -> list[Tensor]:
    """The rows that `after_step` received for its queue, per update."""
    seen: list[Tensor] = []

    class Queued(Sure):
        def after_step(self, step: Step) -> None:
            seen.append(step.carry["seen"])

    run(output, Queued, load_batch, replace(QUIET, accumulate=2))
    return seen


def test_a_queue_gets_the_rows_of_all_processes_in_the_order_of_the_batches(
    tmp_path: Path, together: Together
) -> None:
    first, second = together(tmp_path, queued, tmp_path / "two")
    for update, (rows, others) in enumerate(zip(first, second, strict=True)):
        expected = torch.cat(
            [load_batch(index).images.features[:, 0] for index in (2 * update, 2 * update + 1)]
        )
        assert torch.equal(rows, expected)
        assert torch.equal(others, expected)


def stopped(output: Path, config: TrainConfig, at: int, resume: bool = False) -> str:
    """A run with noise; process 1 alone receives two signals when it loads batch `at`."""

    def load(index: int) -> Batch:
        if index == at and torch.distributed.get_rank() == 1:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        return load_batch(index)

    try:
        run(output, Line, load, config, resume=resume)
    except UserError as end:
        return f"{type(end).__name__} {end.exit_status}: {end}"
    return "done"


@pytest.mark.parametrize("shard", [False, True])
def test_a_signal_to_one_stops_all_and_resumed_is_bit_identical(
    tmp_path: Path, together: Together, shard: bool
) -> None:
    config = replace(CONFIG, steps=12, prefetch=1, checkpoint_every=100, shard=shard)
    together(tmp_path, run, tmp_path / "whole", Line, load_batch, config)
    first, second = together(tmp_path, stopped, tmp_path / "cut", config, 8)
    assert first == second
    assert "Interrupted 130: stopped at step 9 of 12" in first
    assert together(tmp_path, stopped, tmp_path / "cut", config, -1, True) == ["done", "done"]
    for file in ("state/state.safetensors", "model/weights.safetensors"):
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    assert logged(tmp_path / "cut") == logged(tmp_path / "whole")
    with pytest.raises(UsageError, match=r"processes was 2 and is now 1"):
        run(tmp_path / "cut", Line, load_batch, config, resume=True)


def test_processes_draw_different_numbers(tmp_path: Path, together: Together) -> None:
    first, second = together(tmp_path, drawn)
    assert first != second
    assert first == drawn()


def drawn() -> float:
    from showtell.train.update import seeded

    return float(torch.rand((), generator=seeded(3, 5, torch.device("cpu"))))


def failing(output: Path, what: str) -> str:
    """How a run ends when something fails in one process."""
    rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0

    class Broken(Sure):
        def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
            step = super().forward(batch, generator)
            bad = torch.nan if what == "loss" and rank == 1 else 0.0
            return Step({**step.losses, "fit": step.losses["fit"] + bad}, step.carry)

    def monitor(system: nn.Module, step: int, outcome: Step) -> dict[str, float]:
        assert rank == 0
        raise UserError("it has collapsed")

    def validate(system: nn.Module) -> dict[str, float]:
        assert rank == 0
        if what == "validation":
            raise UserError("the images are gone")
        if what == "signal":
            os.kill(os.getpid(), signal.SIGTERM)
        return error(system)

    config = replace(QUIET, watch_every=2 if what == "monitor" else 0, validate_every=3)
    config = replace(config, batch_size=1) if what == "small" else config
    config = replace(config, chunk_size=2, shard=True) if what == "chunks" else config
    try:
        run(output, Broken, load_batch, config, monitor=monitor, validate=validate)
    except UserError as end:
        saved = (
            json.loads((output / "state" / "progress.json").read_text())["progress"]["step"]
            if (output.exists())
            else None
        )
        return f"{end.exit_status} {saved} {end}"
    return "done"


@pytest.mark.parametrize(
    ("what", "first", "second"),
    [
        ("loss", "1 0 the loss 'fit' became nan at step 1", "1 0 the loss 'fit' became nan at step 1"),
        ("monitor", "1 2 it has collapsed", "1 2 the first process failed: it has collapsed"),
        ("validation", "1 0 the images are gone", "1 0 the first process failed: the images are gone"),
        ("signal", "143 3 stopped at step 3 of 6", "143 3 stopped at step 3 of 6"),
        ("chunks", "2 None train.shard cannot be combined", "2 None train.shard cannot be combined"),
        ("small", "2 None train.batch_size=1 is too small for 2", "2 None train.batch_size=1 is too small"),
    ],
)
def test_what_fails_in_one_process_ends_all(
    tmp_path: Path, together: Together, what: str, first: str, second: str
) -> None:
    said = together(tmp_path, failing, tmp_path / "two", what)
    assert said[0].startswith(first)
    assert said[1].startswith(second)
