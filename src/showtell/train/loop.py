"""The training loop: any system, any batches, resumable to the bit."""

from __future__ import annotations

import logging
import math
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from showtell.checkpoint.frozen import Frozen
from showtell.data.batch import Batch
from showtell.data.prefetch import prefetch
from showtell.errors import UsageError, UserError
from showtell.progress import report
from showtell.protocols import Step
from showtell.train.config import TrainConfig
from showtell.train.distributed import count, from_first, largest, rank
from showtell.train.metrics_log import Metrics
from showtell.train.precision import autocast
from showtell.train.signals import Interrupted, Signals, StopRequest
from showtell.train.state import TrainState
from showtell.train.update import Update
from showtell.writing import standing, writing

logger = logging.getLogger(__name__)

Monitor = Callable[[nn.Module, int, Step], Mapping[str, float]]


@dataclass(frozen=True)
class Trained:
    """The end of a run."""

    step: int
    best: float | None
    """`config.metric` of the parameters that were kept; None without validation."""
    best_step: int


def train(
    system: nn.Module,
    load_batch: Callable[[int], Batch],
    config: TrainConfig,
    output: Path,
    *,
    finish: Callable[[Path], object],
    validate: Callable[[nn.Module], Mapping[str, float]] | None = None,
    monitor: Monitor | None = None,
    describe: Callable[[int], str] | None = None,
    record: Mapping[str, Any] | None = None,
    frozen: Sequence[Frozen] = (),
    resume: bool = False,
    device: torch.device | str = "cpu",
) -> Trained:
    """Train a system (a module that is `Trainable`) and keep its best parameters in `output/model`.

    - `load_batch(i)` makes batch `i` and must depend on `i` alone: it runs in threads. Each update reads the
      next `accumulate` batches.
    - `finish(folder)` writes the checkpoint of the system as it is at that moment.
    - `validate(system)` returns figures, among them `config.metric`, in the precision of the run; without it
      the last parameters are kept.
    - `monitor(system, step, outcome)` is called every `config.watch_every` updates, with the system in
      evaluation mode and the update's `Step`: its figures are logged, and a `UserError` that it raises ends
      the run after saving it.
    - `describe(i)` names the items of batch `i` in error messages.
    - `record` is whatever else the run depends on (the recipe, the hash of the data): a resumed run must have
      the same. A finished run may be resumed with more steps.
    - `frozen` are the parts that are read from their sources, and so not saved.

    Beside `model` stand `state` (what `resume` continues from) and `metrics.jsonl`. On a CPU in float32 a
    resumed run is bit-identical to one that never stopped. SIGINT and SIGTERM save the run and end it, or
    before its first update leave nothing behind; their handlers are then put back.

    Raises `UsageError` for an output folder or a resumption that does not fit, `Interrupted` after a signal,
    `UserError` when the disk is full or a loss is not finite.
    """
    device = torch.device(device)
    if config.precision == "auto":
        raise ValueError("train.precision=auto must be settled first: showtell.train.precision.settle")
    if config.batch_size < count():
        raise UsageError(f"train.batch_size={config.batch_size} is too small for {count()} processes")
    if config.shard and config.chunk_size and count() > 1:  # processes may have unequal numbers of chunks
        raise UsageError("train.shard cannot be combined with train.chunk_size; set one of them to 0")
    with Signals(several=count() > 1) as signals:
        made = from_first(lambda: _claim(output, resume))
        state = TrainState(system, config, record or {}, device, frozen)
        if resume:
            state.load(output / "state")
        else:
            state.save(output / "state")  # an unwritable or full disk is found now, not after an hour
        step = state.progress.step
        metrics = Metrics(output / "metrics.jsonl" if rank() == 0 else Path(os.devnull), state.progress)
        following = range(step * config.accumulate, config.steps * config.accumulate)
        batches = prefetch(load_batch, following, config.prefetch)
        update = Update(state, config, batches, describe, device)
        cuda = [device] if device.type == "cuda" else []
        try:
            with torch.random.fork_rng(devices=cuda), closing(metrics), closing(batches):
                run = _Run(state, config, output, finish, validate, monitor, metrics, signals)
                return run.until_done(update)
        except Interrupted:
            if not resume and not state.progress.step:
                from_first(lambda: _leave(output, made))
            raise


def require_output(output: Path, resume: bool) -> None:
    """Raises `UsageError` for the folder of another run, or for one without a run to resume."""
    if resume and not standing(output / "state").exists():
        raise UsageError(f"{output} holds no run to resume; leave out --resume, or give the run's folder")
    if not resume and any(standing(output / name).exists() for name in ("state", "model", "metrics.jsonl")):
        raise UsageError(
            f"{output} already holds a run; continue it with --resume, or choose another output folder"
        )


def _claim(output: Path, resume: bool) -> bool:
    """Make the output folder, and never overwrite another run. Whether it was not there."""
    require_output(output, resume)
    new = not output.exists()
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
    return new


def _leave(output: Path, made: bool) -> None:
    """Remove what a run wrote before its first update, which the next one would take for a run."""
    with writing(output):
        shutil.rmtree(output / "state")
        (output / "metrics.jsonl").unlink()
        if made and not any(output.iterdir()):
            output.rmdir()


@dataclass
class _Run:
    """A run in progress: when to update, validate, save and stop."""

    state: TrainState
    config: TrainConfig
    output: Path
    finish: Callable[[Path], object]
    validate: Callable[[nn.Module], Mapping[str, float]] | None
    monitor: Monitor | None
    metrics: Metrics
    signals: Signals

    def until_done(self, update: Update) -> Trained:
        config, progress, saved = self.config, self.state.progress, -1
        try:
            while True:
                if self.validate and progress.validated < progress.step and self._due(config.validate_every):
                    if self._due(config.checkpoint_every):
                        self._save()  # validation takes long, and may be killed
                    self._evaluate(self.validate)
                done = progress.step >= config.steps or 0 < config.patience <= progress.worse
                if done or (saved < progress.step and self._due(config.checkpoint_every)):
                    self._save()
                    saved = progress.step
                if done:
                    return Trained(progress.step, progress.best, progress.best_step)
                self._check()
                began = time.monotonic()
                line, outcome = update(self.signals)
                speed = update.items / (time.monotonic() - began)
                self.metrics.write({**line, "items_per_second": round(speed, 1)})
                self._report(line["loss"], line["learning_rate"], speed)
                if self.monitor and config.watch_every and progress.step % config.watch_every == 0:
                    self._watch(self.monitor, outcome)
        except StopRequest:
            said = f"stopped before step 1 of {config.steps}: there is nothing to save"
            if progress.step:
                self._save()
                said = f"stopped at step {progress.step} of {config.steps}; its state is saved: continue "
                said += f"{self.output} with --resume"
            raise Interrupted(said, largest(self.signals.received)) from None

    def _check(self) -> None:
        """Stop all processes when any of them received a signal."""
        if largest(self.signals.received):
            raise StopRequest

    def _report(self, loss: float, rate: float, speed: float) -> None:
        step, steps = self.state.progress.step, self.config.steps
        note = f"loss {loss:.3f}  learning rate {rate:.1e}  {speed:.{int(speed < 10)}f} items/s"
        report("training", step, steps, note)
        if step == steps:
            logger.info("step %d of %d  %s", step, steps, note)

    def _watch(self, monitor: Monitor, outcome: Step) -> None:
        """Log the monitor's figures; save the run if the monitor ends it."""
        step = self.state.progress.step
        try:
            with self.state.shown() as system, torch.no_grad():
                figures = from_first(lambda: dict(monitor(system, step, outcome)))
        except UserError:
            self._save()
            raise
        self.metrics.write({"step": step, "monitor": figures})

    def _due(self, every: int) -> bool:
        step = self.state.progress.step
        return step == self.config.steps or (every > 0 and step > 0 and step % every == 0)

    def _save(self) -> None:
        """The model before the state: a resumed run may write a model twice, but never misses one."""
        if self.state.progress.best is None:
            self._keep()
        if rank() == 0:
            self.metrics.sync()
        self.state.save(self.output / "state")

    def _keep(self) -> None:
        with self.state.shown():
            from_first(lambda: self.finish(self.output / "model"))

    def _evaluate(self, validate: Callable[[nn.Module], Mapping[str, float]]) -> None:
        """Validate, and keep the parameters if they are the best so far."""
        config, progress, device = self.config, self.state.progress, self.state.device.type
        with self.state.shown() as system:

            def measure() -> dict[str, float]:
                with torch.no_grad(), autocast(config.precision, device), self.signals.at_once():
                    return dict(validate(system))

            figures = from_first(measure)
            if config.metric not in figures:
                raise UsageError(
                    f"train.metric={config.metric} is not measured; choose one of {', '.join(figures)}"
                )
            value, sign = figures[config.metric], 1 if config.higher_is_better else -1
            better = not math.isnan(value) and (progress.best is None or sign * value > sign * progress.best)
            if better:
                from_first(lambda: self.finish(self.output / "model"))
                progress.best, progress.best_step, progress.worse = value, progress.step, 0
            else:
                progress.worse += 1
        progress.validated = progress.step
        self.metrics.write({"step": progress.step, "validation": figures, "best": better})
        shown = "  ".join(f"{name} {figure:.4g}" for name, figure in figures.items())
        logger.info("step %d  validation  %s%s", progress.step, shown, "  (best)" if better else "")
