import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from showtell.data.batch import Batch, ImageBatch
from showtell.errors import UsageError, UserError
from showtell.progress import shown_by
from showtell.protocols import Step, Trainable
from showtell.train.config import TrainConfig
from showtell.train.loop import Trained, train
from showtell.train.schedule import learning_rate
from support.toy import CONFIG, Line, error, finish, kept, load_batch


def fit(
    output: Path, config: TrainConfig = CONFIG, system: nn.Module | None = None, **options: Any
) -> Trained:
    system = system or Line()
    options = {"validate": error, "load_batch": load_batch, **options}
    return train(system, options.pop("load_batch"), config, output, finish=finish(system), **options)


def lines(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def test_it_learns_and_keeps_the_best(tmp_path: Path) -> None:
    assert isinstance(Line(), Trainable)
    system = Line()
    trained = fit(tmp_path, replace(CONFIG, steps=200, warmup_steps=0), system)
    measured = {line["step"]: line["validation"]["error"] for line in lines(tmp_path) if "validation" in line}
    assert trained.best == min(measured.values()) == measured[trained.best_step] < 0.05
    assert set(measured) == {*range(7, 200, 7), 200}
    fresh = Line()
    fresh.load_state_dict(kept(tmp_path))
    assert error(fresh.eval())["error"] == pytest.approx(trained.best)


def test_an_update_is_that_of_the_plain_algorithm(tmp_path: Path) -> None:
    """Against a plain loop in torch: clipping, AdamW, the schedule, decay on matrices."""

    class Plain(Line):
        def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
            out = self.linear(batch.images.features[:, 0, :4])[:, 0]
            return Step({"fit": F.mse_loss(out, batch.images.features[:, 0, 4]), "small": out.mean()})

        def after_step(self, step: Step) -> None: ...

    config = replace(CONFIG, ema=0.0, weight_decay=0.1, clip_norm=0.5, steps=12)
    ours, theirs = Plain(), Plain()
    fit(tmp_path, config, ours)
    weight, bias = theirs.linear.weight, theirs.linear.bias
    optimiser = torch.optim.AdamW(
        [{"params": [weight], "weight_decay": 0.1}, {"params": [bias], "weight_decay": 0.0}]
    )
    for step in range(12):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(config, step)
        losses = theirs(load_batch(step)).losses
        optimiser.zero_grad()
        (losses["fit"] + 0.01 * losses["small"]).backward()
        norm = nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        optimiser.step()
        assert lines(tmp_path)[step + (step >= 7)]["gradient_norm"] == pytest.approx(float(norm), rel=1e-4)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())


def test_accumulated_batches_equal_one_large_batch(tmp_path: Path) -> None:
    class Quiet(Line):
        def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
            out = self.linear(batch.images.features[:, 0, :4])[:, 0]
            return Step(
                {"fit": F.mse_loss(out, batch.images.features[:, 0, 4]), "small": 0 * out.sum()},
                carry={"one": torch.ones(1)},
            )

    halves, wholes = Quiet(), Quiet()
    fit(tmp_path / "a", replace(CONFIG, accumulate=2, steps=10), halves)

    def both(index: int) -> Batch:
        return Batch(
            ImageBatch(
                features=torch.cat(
                    [load_batch(2 * index).images.features, load_batch(2 * index + 1).images.features]
                )
            )
        )

    fit(tmp_path / "b", replace(CONFIG, steps=10), wholes, load_batch=both)
    torch.testing.assert_close(halves.linear.weight, wholes.linear.weight)
    assert halves.updates == wholes.updates == 10
    for figure in ("loss", "gradient_norm"):
        a, b = ([r[figure] for r in lines(tmp_path / x) if figure in r] for x in "ab")
        assert a == pytest.approx(b, rel=1e-4)


def test_a_teacher_moves_once_per_update_and_a_queue_gets_every_batch(tmp_path: Path) -> None:
    seen: list[Step] = []

    class Queued(Line):
        def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
            return Step(
                super().forward(batch, generator).losses, {"keys": batch.images.features[:, 0].detach()}
            )

        def after_step(self, step: Step) -> None:
            seen.append(step)

    fit(tmp_path, replace(CONFIG, accumulate=3, steps=4), Queued())
    assert len(seen) == 4
    for update, step in enumerate(seen):
        keys = torch.cat(
            [load_batch(index).images.features[:, 0] for index in range(3 * update, 3 * update + 3)]
        )
        assert torch.equal(step.carry["keys"], keys)
        assert float(step.losses["fit"]) == pytest.approx(lines(tmp_path)[update]["losses"]["fit"])


def test_a_monitor_is_read_every_few_steps_and_may_end_the_run(tmp_path: Path) -> None:
    asked = []

    def monitor(system: nn.Module, step: int, outcome: Step) -> dict[str, float]:
        assert not system.training
        assert outcome.losses.keys() == {"fit", "small"}
        asked.append(step)
        if step == 16:
            raise UserError("it has collapsed")
        return {"spread": step / 2}

    config = replace(CONFIG, watch_every=4, checkpoint_every=100)
    with pytest.raises(UserError, match="it has collapsed"):
        fit(tmp_path, config, monitor=monitor)
    assert asked == [4, 8, 12, 16]
    watched = {line["step"]: line["monitor"]["spread"] for line in lines(tmp_path) if "monitor" in line}
    assert watched == {4: 2, 8: 4, 12: 6}
    assert json.loads((tmp_path / "state" / "progress.json").read_text())["progress"]["step"] == 16
    assert (tmp_path / "model").is_dir()


def test_the_average_is_validated_and_kept_but_not_trained(tmp_path: Path) -> None:
    systems = [Line(), Line()]
    seen = []

    def watch(system: nn.Module) -> dict[str, float]:
        assert not system.training
        seen.append(system.linear.weight.clone())
        return error(system)

    fit(tmp_path / "a", replace(CONFIG, ema=0.5, validate_every=0), systems[0], validate=watch)
    fit(tmp_path / "b", replace(CONFIG, ema=0.0, validate_every=0), systems[1])
    assert torch.equal(systems[0].linear.weight, systems[1].linear.weight)
    assert torch.equal(kept(tmp_path / "a")["linear.weight"], seen[-1])
    assert not torch.equal(seen[-1], systems[0].linear.weight)


def test_the_average_follows_its_equation() -> None:
    from showtell.train.ema import Average

    system = Line()
    average, by_hand = Average(system, 0.6), system.linear.weight.detach().clone()
    for step in range(1, 12):
        with torch.no_grad():
            system.linear.weight.add_(torch.randn(1, 4))
        average.update(step)
        decay = min(0.6, (1 + step) / (10 + step))
        by_hand = decay * by_hand + (1 - decay) * system.linear.weight.detach()
    own = system.linear.weight.detach().clone()
    with average.applied():
        torch.testing.assert_close(system.linear.weight.detach(), by_hand)
    assert torch.equal(system.linear.weight, own)


def test_patience_ends_a_run_that_no_longer_improves(tmp_path: Path) -> None:
    figures = iter([3.0, 2.0, 2.5, math.nan, 1.0])
    config = replace(CONFIG, validate_every=2, patience=2)
    trained = fit(tmp_path, config, validate=lambda system: {"error": next(figures)})
    assert trained == Trained(step=8, best=2.0, best_step=4)
    with pytest.raises(StopIteration):  # a resumed run knows that it has ended and validates no more
        next(figures), next(figures)
    assert fit(tmp_path, config, resume=True).step == 8


@pytest.mark.parametrize(("higher", "best"), [(True, 9.0), (False, 1.0)])
def test_which_way_is_better(tmp_path: Path, higher: bool, best: float) -> None:
    figures = iter([5.0, 9.0, 1.0, 4.0, 5.0])
    config = replace(CONFIG, higher_is_better=higher)
    assert fit(tmp_path, config, validate=lambda system: {"error": next(figures)}).best == best


def test_nan_is_never_best(tmp_path: Path) -> None:
    figures = iter([math.nan, 4.0, 5.0, math.nan, 6.0])
    assert fit(tmp_path / "a", validate=lambda system: {"error": next(figures)}).best_step == 14
    system = Line()
    assert (
        fit(tmp_path / "b", replace(CONFIG, ema=0.0), system, validate=lambda s: {"error": math.nan}).best
        is None
    )
    assert torch.equal(kept(tmp_path / "b")["linear.weight"], system.linear.weight)


def test_without_validation_the_last_parameters_are_kept(tmp_path: Path) -> None:
    system = Line()
    trained = fit(tmp_path, replace(CONFIG, ema=0.0), system, validate=None)
    assert trained == Trained(step=30, best=None, best_step=0)
    assert torch.equal(kept(tmp_path)["linear.weight"], system.linear.weight)


def test_a_metric_that_is_not_measured_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"train\.metric=bleu is not measured; choose one of error, other"):
        fit(tmp_path, replace(CONFIG, metric="bleu"))


@pytest.mark.parametrize("weights", [{"fit": 1.0}, {"fit": 1.0, "small": 1.0, "more": 1.0}])
def test_losses_must_be_the_declared_ones(tmp_path: Path, weights: dict[str, float]) -> None:
    system = Line()
    system.loss_weights = weights
    with pytest.raises(
        ValueError, match=r"missing \['more'\], unknown \[\]|missing \[\], unknown \['small'\]"
    ):
        fit(tmp_path, system=system)


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_loss_that_is_not_finite_stops_with_step_and_batch(tmp_path: Path, what: str) -> None:
    class Breaks(Line):
        def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
            step = super().forward(batch, generator)
            if self.updates == 12:
                bad = math.nan if what == "loss" else (self.linear.weight * 0).sum().sqrt()
                return Step({**step.losses, "fit": step.losses["fit"] + bad}, carry={"one": torch.ones(1)})
            return step

    system = Breaks()
    named = r"became nan at step 13, in batch 12 \(images of 12\)"
    with pytest.raises(UserError, match=named) as caught:
        fit(tmp_path, system=system, describe=lambda index: f"images of {index}")
    assert caught.value.exit_status == 1
    assert all(p.isfinite().all() for p in system.parameters())
    assert json.loads((tmp_path / "state" / "progress.json").read_text())["progress"]["step"] == 10
    assert lines(tmp_path)[-1]["step"] == 12


def test_a_batch_that_cannot_be_made_fails_the_run_at_its_step(tmp_path: Path) -> None:
    def load(index: int) -> Batch:
        if index == 8:
            raise UserError("图.jpg vanished")
        return load_batch(index)

    with pytest.raises(UserError, match=r"图.jpg vanished"):
        fit(tmp_path, load_batch=load)
    assert lines(tmp_path)[-1]["step"] == 8  # the update that batch 7 makes


def test_the_random_state_of_the_caller_is_restored(tmp_path: Path) -> None:
    system = Line()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(tmp_path, system=system)
    assert torch.equal(torch.rand(3), expected)


def test_seeds_give_different_runs(tmp_path: Path) -> None:
    runs = [Line(), Line()]
    for seed, system in enumerate(runs):
        fit(tmp_path / str(seed), replace(CONFIG, seed=seed), system)
    assert not torch.equal(runs[0].linear.weight, runs[1].linear.weight)


def test_dropout_and_the_systems_generator_draw_different_numbers(tmp_path: Path) -> None:
    drawn: list[tuple[float, float]] = []

    class Draws(Line):
        def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
            drawn.append((float(torch.rand(())), float(torch.rand((), generator=generator))))
            return super().forward(batch, generator)

    fit(tmp_path, system=Draws())
    assert len({number for pair in drawn for number in pair}) == 60


def test_bf16_computes_in_bf16_and_keeps_float32(tmp_path: Path) -> None:
    seen: set[torch.dtype] = set()

    class Watched(Line):
        def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
            seen.add(self.linear(batch.images.features[:, 0, :4]).dtype)
            return super().forward(batch, generator)

    system = Watched()
    fit(tmp_path, replace(CONFIG, precision="bf16"), system)
    assert seen == {torch.bfloat16}
    assert system.linear.weight.dtype == torch.float32


def test_a_validation_computes_in_the_precision_of_the_run(tmp_path: Path) -> None:
    seen: list[torch.dtype] = []

    def validate(system: nn.Module) -> dict[str, float]:
        seen.append(system.get_submodule("linear")(torch.ones(1, 4)).dtype)
        return {"error": 0.0}

    for precision in ("float32", "bf16"):
        config = replace(CONFIG, precision=precision, validate_every=0)
        fit(tmp_path / precision, config, validate=validate)
    assert seen == [torch.float32, torch.bfloat16]


def test_metrics_say_what_happened(tmp_path: Path) -> None:
    fit(tmp_path)
    steps = [line for line in lines(tmp_path) if "loss" in line]
    assert [line["step"] for line in steps] == list(range(1, 31))
    for line in steps:
        assert line["loss"] == pytest.approx(line["losses"]["fit"] + 0.01 * line["losses"]["small"], rel=1e-5)
        assert line["learning_rate"] == learning_rate(CONFIG, line["step"] - 1)
        assert line["gradient_norm"] > 0
        assert line["items_per_second"] > 0


def test_the_speed_counts_the_items_of_a_batch_not_those_that_were_asked_for(tmp_path: Path) -> None:
    asked = replace(CONFIG, steps=2, batch_size=10**9)
    fit(tmp_path, asked)
    assert all(line["items_per_second"] < 10**7 for line in lines(tmp_path) if "loss" in line)


def test_progress_is_reported_and_logged_and_nothing_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    reports: list[tuple[str, int, int, str]] = []
    with caplog.at_level("INFO", "showtell"), shown_by(lambda *report: reports.append(report)):
        fit(tmp_path)
    assert [report[:3] for report in reports] == [("training", step, 30) for step in range(1, 31)]
    assert re.fullmatch(r"loss \d+\.\d{3}  learning rate \d\.\de-\d\d  \d+(\.\d)? items/s", reports[-1][3])
    said = [record.getMessage() for record in caplog.records]
    assert sum("validation  error" in line for line in said) == 5
    assert "(best)" in "".join(said)
    assert sum("step 30 of 30  loss" in line for line in said) == 1
    assert capsys.readouterr() == ("", "")


def refuses(attempt: Callable[[], object], *says: str) -> None:
    with pytest.raises(UserError) as caught:
        attempt()
    for text in says:
        assert text in str(caught.value)


def test_an_output_that_holds_a_run_is_not_overwritten(tmp_path: Path) -> None:
    fit(tmp_path)
    refuses(lambda: fit(tmp_path), str(tmp_path), "already holds a run", "--resume")
    (tmp_path / "other").mkdir()
    (tmp_path / "model").rename(tmp_path / "other" / "model")  # a model alone is protected too
    refuses(lambda: fit(tmp_path / "other"), "already holds a run")
    assert kept(tmp_path / "other").keys() == {"linear.weight", "linear.bias", "updates"}


def test_nothing_to_resume(tmp_path: Path) -> None:
    refuses(lambda: fit(tmp_path / "never", resume=True), "never", "no run to resume")


def test_an_output_that_cannot_be_written_is_found_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")

    def never(index: int) -> Batch:
        raise AssertionError("a batch was read before the output was tried")

    refuses(
        lambda: fit(tmp_path / "file" / "run", load_batch=never), "cannot write", "file", "choose another"
    )
    assert (tmp_path / "file").read_text() == "mine"


FULL_DISK = """
import resource, sys
from dataclasses import replace
from pathlib import Path
import torch
from support.toy import CONFIG, Line, finish, load_batch
from showtell.errors import UserError
from showtell.protocols import Step
from showtell.train.loop import train

class Wide(Line):
    def __init__(self):
        super().__init__()
        self.wide = torch.nn.Linear(64, 64)
    def forward(self, batch, generator=None):
        losses = super().forward(batch, generator).losses
        return Step({**losses, "small": self.wide.weight.square().sum()}, carry={"one": torch.ones(1)})

system = Wide()
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))  # the parameters fit, but not with their moments
try:
    train(system, load_batch, replace(CONFIG, ema=0.0), Path(sys.argv[1]), finish=finish(system))
except UserError as error:
    sys.exit(str(error))
"""


def test_a_full_disk_names_the_path_and_leaves_the_last_state(tmp_path: Path) -> None:
    """A limit on the size of files fails in the same system call as a full disk."""
    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK, tmp_path / "run"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 1
    assert f"cannot write {tmp_path / 'run' / 'state'}" in ended.stderr
    assert "File too large" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert json.loads((tmp_path / "run" / "state" / "progress.json").read_text())["progress"]["step"] == 0
    assert not (tmp_path / "run" / ".state.writing").exists()
