"""One update of the parameters, from batches to a step of the optimiser.

losses -> weighted sum -> gradients, averaged over processes -> clip -> optimiser -> after_step -> average
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NoReturn, cast

import numpy as np
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.nn.utils import get_total_norm

from showtell.data.batch import Batch
from showtell.errors import UserError
from showtell.nn.chunked import ComputesInChunks
from showtell.protocols import HasAfterStep, Step, Trainable
from showtell.train.config import TrainConfig
from showtell.train.data_parallel import Alone, DataParallel
from showtell.train.distributed import count, gathered, mean, rank, shared
from showtell.train.fsdp import average_scalars
from showtell.train.gradient_cache import cached_backward
from showtell.train.optimiser import set_rates
from showtell.train.precision import autocast
from showtell.train.schedule import learning_rate
from showtell.train.signals import Signals
from showtell.train.state import Progress, TrainState

GROW_AFTER = 2000
"""Updates without overflow after which the scale of an fp16 loss is doubled, as in torch."""


def weigh(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The weighted sum of the losses.

    Raises `ValueError` unless exactly the declared losses are there.
    """
    if losses.keys() != weights.keys():
        raise ValueError(
            "losses do not match the system's loss_weights: "
            f"missing {sorted(weights.keys() - losses.keys())}, "
            f"unknown {sorted(losses.keys() - weights.keys())}"
        )
    return torch.stack([weights[name] * loss.float() for name, loss in losses.items()]).sum()


def seeded(seed: int, index: int, device: torch.device) -> torch.Generator:
    """The system's generator for batch `index`; torch's global one is seeded too, with another seed.

    Each process draws its own numbers. Numbers drawn before, by a validation or an interrupted run, have no
    effect on them.
    """
    own, given = np.random.SeedSequence((seed, index, 0, rank())).generate_state(2, np.uint64).tolist()
    torch.manual_seed(own)
    return torch.Generator(device).manual_seed(given)


def merged(steps: Sequence[Step], losses: Mapping[str, float]) -> Step:
    """The `Step` of a whole update: the averaged losses, and the `carry` of all its batches, concatenated."""
    carried = [gathered(step.carry) for step in steps]
    return Step(
        {name: torch.tensor(value) for name, value in losses.items()},
        {name: torch.cat([c[name] for c in carried]) for name in carried[0]},
    )


class Update:
    """Reads the next batches and updates the parameters once."""

    def __init__(
        self,
        state: TrainState,
        config: TrainConfig,
        batches: Iterator[Batch],
        describe: Callable[[int], str] | None,
        device: torch.device,
    ) -> None:
        self.state, self.config, self.batches, self.describe, self.device = (
            state,
            config,
            batches,
            describe,
            device,
        )
        self.items = 0
        """Of the batches of the last update."""
        self.parameters = [p for group in state.optimiser.param_groups for p in group["params"]]
        if isinstance(state.system, ComputesInChunks):
            state.system.chunk_size = config.chunk_size
        self.forward = DataParallel(state.system) if count() > 1 and not state.sharded else Alone()

    def __call__(self, signals: Signals) -> tuple[dict[str, Any], Step]:
        """Make the update after `progress.step`; return its line of `metrics.jsonl`, and its `Step`.

        In fp16, a gradient that overflows halves the scale of the loss and changes no parameter.

        Raises `UserError` naming step and batch when a loss or the gradient is not finite; the parameters
        are then those before the update.
        """
        config, state, system = self.config, self.state, cast(Trainable, self.state.system)
        step = state.progress.step
        rate = learning_rate(config, step)
        state.system.train()
        state.optimiser.zero_grad(set_to_none=True)
        outcomes: list[Step] = []
        self.items = 0
        following = (step + 1) * config.accumulate
        for index in range(step * config.accumulate, following):
            # Several processes stop together: if one left here, the others would wait for ever.
            with signals.at_once() if count() == 1 else nullcontext():
                batch = next(self.batches)
            self.items += len(batch)
            generator = seeded(config.seed, index, self.device)
            outcomes.append(self._backward(batch, generator, last=index + 1 == following))
        if state.sharded:
            average_scalars(self.parameters)
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        losses, norm = self._read(outcomes, gradients)
        outcome = merged(outcomes, losses)
        if math.isfinite(norm):
            clipping = min(config.clip_norm / (norm + 1e-6), 1.0) if config.clip_norm else 1.0
            if (factor := clipping / self._loss_scale) != 1:
                torch._foreach_mul_(gradients, factor)
            set_rates(state.optimiser, config, rate)
            state.optimiser.step()
            if isinstance(system, HasAfterStep):
                system.after_step(outcome)
        if config.precision == "fp16":
            _rescale(state.progress, math.isfinite(norm))
        state.progress.step = step + 1
        if state.average:
            state.average.update(step + 1)
        line = {
            "step": step + 1,
            "loss": sum(system.loss_weights[name] * value for name, value in losses.items()),
            "losses": losses,
            "learning_rate": rate,
            "gradient_norm": norm if math.isfinite(norm) else None,
        }
        return line, outcome

    @property
    def _loss_scale(self) -> float:
        return self.state.progress.loss_scale if self.config.precision == "fp16" else 1.0

    def _autocast(self) -> AbstractContextManager[Any]:
        return autocast(self.config.precision, self.device.type)

    def _backward(self, batch: Batch, generator: torch.Generator, last: bool) -> Step:
        """Add the gradients of this process's part of a batch; return its `shared` losses."""
        part = batch.part(rank(), count()) if count() > 1 else batch
        share = len(part) / len(batch) if count() > 1 else 1.0
        part = part.to(self.device)
        config, system = self.config, cast(Trainable, self.state.system)

        outcomes: list[Step] = []

        def total(step: Step) -> Tensor:
            outcomes.append(shared(step, share))
            weighed = weigh(outcomes[0].losses, system.loss_weights)
            return weighed * (self._loss_scale / config.accumulate)

        if config.chunk_size and not isinstance(system, ComputesInChunks):
            cached_backward(
                self.state.system,
                part,
                generator,
                total,
                chunk_size=config.chunk_size,
                autocast=self._autocast,
                forward=lambda embed, last_chunk: self.forward(embed, last and last_chunk),
            )
        else:
            with self._autocast():
                loss = self.forward(lambda: total(self.state.system(part, generator)), last)
            loss.backward()
        return outcomes[0]

    def _read(self, outcomes: list[Step], gradients: list[Tensor]) -> tuple[dict[str, float], float]:
        """The mean of each loss over the batches, and the gradient's norm, in one synchronisation.

        All are finite, except a gradient in fp16 whose loss can still be scaled down.
        """
        names = list(outcomes[0].losses)
        table = mean(torch.stack([o.losses[name].detach().float() for o in outcomes for name in names]))
        norm = total_norm(gradients)
        *values, gradient = torch.cat([table, norm[None].float()]).tolist()
        rows = [
            dict(zip(names, values[i : i + len(names)], strict=True))
            for i in range(0, len(values), len(names))
        ]
        first = self.state.progress.step * self.config.accumulate
        for index, row in enumerate(rows, first):
            for name, value in row.items():
                if not math.isfinite(value):
                    self._stop(f"the loss '{name}' became {value}", [index])
        if not math.isfinite(gradient) and self._loss_scale <= 1:
            self._stop(f"the gradient became {gradient}", range(first, first + len(rows)))
        return {
            name: sum(row[name] for row in rows) / len(rows) for name in names
        }, gradient / self._loss_scale

    def _stop(self, what: str, indices: Iterable[int]) -> NoReturn:
        batches = [f"batch {i}" + (f" ({self.describe(i)})" if self.describe else "") for i in indices]
        raise UserError(
            f"{what} at step {self.state.progress.step + 1}, in {', '.join(batches)}. The last checkpoint "
            "is kept. Check these items; if they are valid, lower train.learning_rate or train.clip_norm."
        )


def total_norm(gradients: Sequence[Tensor]) -> Tensor:
    """The norm of all gradients as one vector, sharded ones included."""
    norms = []
    for sharded in (False, True):
        if some := [g for g in gradients if isinstance(g, DTensor) == sharded]:
            norm = get_total_norm(some)
            norms.append(norm.full_tensor() if isinstance(norm, DTensor) else norm)
    return norms[0] if len(norms) == 1 else torch.stack(norms).norm()


def _rescale(progress: Progress, sound: bool) -> None:
    """Halve the scale of the loss after an overflow; double it after `GROW_AFTER` updates without one."""
    progress.sound = progress.sound + 1 if sound else 0
    if not sound:
        progress.loss_scale /= 2
    elif progress.sound == GROW_AFTER:
        progress.loss_scale, progress.sound = progress.loss_scale * 2, 0
