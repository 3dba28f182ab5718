"""Whether a run is the one that was saved: a resumed run has the same settings, a finished one may grow."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from showtell.errors import UsageError
from showtell.train.config import TrainConfig
from showtell.train.distributed import rank
from showtell.train.schedule import learning_rate
from showtell.wording import counted, listed

logger = logging.getLogger(__name__)

HARMLESS = ("train.prefetch", "train.watch_every", "train.checkpoint_every")
"""Settings that may differ when a run is resumed."""
LENGTH = ("train.steps", "total_steps")
"""The length of a run, and the copy of it that a system's own schedule reads; a finished run may grow."""


def require_same_run(
    folder: Path, saved: Mapping[str, Any], record: Mapping[str, Any], config: TrainConfig
) -> None:
    """Compare what was saved of a run in `folder`, `{"record", "progress"}`, with the run that resumes it.

    A finished run may have more steps: the message says what the learning rate does from here.

    Raises `UsageError` that names each setting in which the two runs differ.
    """
    then, now = (dict(_leaves(one)) for one in (saved["record"], record))
    differing = [
        name
        for name in [*then, *(now.keys() - then.keys())]
        if then.get(name) != now.get(name) and not name.endswith(HARMLESS)
    ]
    step, before, after = saved["progress"]["step"], then.get("train.steps"), config.steps
    grown = before is not None and before <= step and before < after
    early = 0 < config.patience <= saved["progress"]["worse"]
    refused = [name for name in differing if not (grown and not early and name.endswith(LENGTH))]
    if refused:
        told = [f"{name} was {then.get(name)!r} and is now {now.get(name)!r}" for name in refused]
        advice = "Resume it with its own settings, or choose another output folder."
        if "train.steps" in refused and early:
            advice = (
                f"It ended after {counted(saved['progress']['worse'], 'validation')} without an improvement "
                "(train.patience), and would end at once; choose another output folder."
            )
        elif "train.steps" in refused:
            advice += f" Only a finished run takes another train.steps, a larger one: it is at step {step}."
        raise UsageError(f"{folder} holds another run: {listed(told, 5, '; ')}. {advice}")
    if rank():
        return
    if grown:
        also = "; the system's own schedule is that of the new length too" if len(differing) > 1 else ""
        was = learning_rate(TrainConfig(**{**vars(config), "steps": before}), step - 1)
        logger.info(
            "%s was finished at step %d and continues to step %d. The learning rate is now that of a %s "
            "schedule of %d steps: it was %.2g at step %d, is %.2g at step %d and %.2g at step %d%s",
            *(folder, step, after, config.schedule, after, was, step),
            *(learning_rate(config, step), step + 1, learning_rate(config, after - 1), after, also),
        )
    elif step >= after:
        logger.info(
            "%s is finished at step %d; --set train.steps= with a larger number continues it", folder, step
        )
    else:
        logger.info("%s continues at step %d of %d", folder, step, after)


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The fields of nested dictionaries by dotted name."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value
