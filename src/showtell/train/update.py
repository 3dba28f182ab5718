"""One update of the weights, from batches to a step of the optimiser.

losses -> weighted sum -> gradients -> clip -> AdamW -> after_step -> average
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from showtell.data.batch import Batch
from showtell.errors import UserError
from showtell.protocols import Step, Trainable
from showtell.train.config import TrainConfig
from showtell.train.schedule import learning_rate
from showtell.train.signals import Signals
from showtell.train.state import TrainState


def weigh(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The weighted sum of the losses. Every declared loss must be there and no other."""
    if losses.keys() != weights.keys():
        raise ValueError(
            "losses do not match the system's loss_weights: "
            f"missing {sorted(weights.keys() - losses.keys())}, "
            f"unknown {sorted(losses.keys() - weights.keys())}"
        )
    return torch.stack([weights[name] * loss.float() for name, loss in losses.items()]).sum()


def seeded(seed: int, index: int, device: torch.device) -> torch.Generator:
    """Start all randomness of batch `index` anew: torch's own stream, and the one that a system is given.

    So nothing that was drawn before, by a validation or by a run that was stopped, is felt after.
    """
    own, given = np.random.SeedSequence((seed, index)).generate_state(2, np.uint64).tolist()
    torch.manual_seed(own)
    return torch.Generator(device).manual_seed(given)


def merged(steps: Sequence[Step]) -> Step:
    """The batches of one update as one: losses averaged, what they carry laid end to end."""
    losses = {name: torch.stack([s.losses[name].detach() for s in steps]).mean() for name in steps[0].losses}
    return Step(losses, {name: torch.cat([s.carry[name] for s in steps]) for name in steps[0].carry})


class Update:
    """Reads the next batches and moves the weights once."""

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
        self.parameters = [p for group in state.optimiser.param_groups for p in group["params"]]

    def __call__(self, signals: Signals) -> tuple[dict[str, Any], Step]:
        """Make the update that follows `progress.step`; return what `metrics.jsonl` records, and the `Step`.

        Raises `UserError` naming step and batch when a loss or the gradient is not finite; the weights
        are then those before the update.
        """
        config, state, system = self.config, self.state, cast(Trainable, self.state.system)
        step = state.progress.step
        rate = learning_rate(config, step)
        state.system.train()
        state.optimiser.zero_grad(set_to_none=True)
        outcomes: list[Step] = []
        for index in range(step * config.accumulate, (step + 1) * config.accumulate):
            with signals.at_once():
                batch = next(self.batches)
            generator = seeded(config.seed, index, self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
                outcomes.append(state.system(batch.to(self.device), generator))
                total = weigh(outcomes[-1].losses, system.loss_weights)
            (total / config.accumulate).backward()
        norm = get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        losses = self._read(outcomes, norm)
        gradient_norm = losses.pop("gradient")
        if config.clip_norm:
            clip_grads_with_norm_(self.parameters, config.clip_norm, norm)
        for group in state.optimiser.param_groups:
            group["lr"] = rate
        state.optimiser.step()
        outcome = merged(outcomes)
        system.after_step(outcome)
        state.progress.step = step + 1
        if state.average:
            state.average.update(step + 1)
        line = {
            "step": step + 1,
            "loss": sum(system.loss_weights[name] * value for name, value in losses.items()),
            "losses": losses,
            "learning_rate": rate,
            "gradient_norm": gradient_norm,
        }
        return line, outcome

    def _read(self, outcomes: list[Step], norm: Tensor) -> dict[str, float]:
        """The mean of each loss over the batches, and `gradient`, in one wait for the device; all finite."""
        names = list(outcomes[0].losses)
        table = torch.stack(
            [o.losses[name].detach().float() for o in outcomes for name in names] + [norm.float()]
        )
        *values, gradient = table.tolist()
        rows = [
            dict(zip(names, values[i : i + len(names)], strict=True))
            for i in range(0, len(values), len(names))
        ]
        first = self.state.progress.step * self.config.accumulate
        for index, row in enumerate(rows, first):
            for name, value in row.items():
                if not math.isfinite(value):
                    self._stop(f"the loss '{name}' became {value}", [index])
        if not math.isfinite(gradient):
            self._stop(f"the gradient became {gradient}", range(first, first + len(rows)))
        means = {name: sum(row[name] for row in rows) / len(rows) for name in names}
        return means | {"gradient": gradient}

    def _stop(self, what: str, indices: Iterable[int]) -> NoReturn:
        batches = [f"batch {i}" + (f" ({self.describe(i)})" if self.describe else "") for i in indices]
        raise UserError(
            f"{what} at step {self.state.progress.step + 1}, in {', '.join(batches)}. The last checkpoint "
            "is kept. Look at these items; if they are sound, lower train.learning_rate or train.clip_norm."
        )
