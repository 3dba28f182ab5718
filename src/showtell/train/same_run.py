"""Whether a run is the one that was saved: a resumed run has the same settings, a finished one may grow."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from showtell.data.json import read_object
from showtell.errors import UsageError
from showtell.train.config import TrainConfig
from showtell.train.distributed import rank
from showtell.train.schedule import learning_rate
from showtell.wording import counted, listed
from showtell.writing import standing

logger = logging.getLogger(__name__)

HARMLESS = ("train.prefetch", "train.watch_every", "train.checkpoint_every")
"""Settings that may differ when a run is resumed."""
ASKED, GIVEN = "asked", "given"
"""In a record: the settings before the data settled them, for `require_same_request`, and those that a person
gave, `name=value` each.
"""
LENGTH = ("train.steps", "total_steps")
"""The length of a run, and the copy of it that a system's own schedule reads; a finished run may grow."""


def asked_for(few: Mapping[str, Any], many: Mapping[str, Any], recipe: str) -> dict[str, Any]:
    """What a run is asked for that does not follow from its data, by its name in the record of the run.

    `few` and `many` are the settings for few and for many training items: what differs follows from the data.
    A precision that is left to the device is not asked for.

    >>> asked_for({"size": 8, "train": {"steps": 9}}, {"size": 8, "train": {"steps": 90}}, "simsiam")
    {'recipe': 'simsiam', 'settings.size': 8}
    """
    other, asked = dict(_leaves(many)), {"recipe": recipe}
    for name, value in _leaves(few):
        if other.get(name) == value and (name, value) != ("train.precision", "auto"):
            asked[name if name.startswith("train.") else f"settings.{name}"] = value
    return asked


def saved_run(folder: Path) -> dict[str, Any]:
    """What was saved of a run in `folder`, `{"record", "progress"}`; empty where no run is."""
    saved = standing(folder / "state") / "progress.json"
    return read_object(saved) if saved.exists() else {}


def given_settings(folder: Path) -> list[str]:
    """The settings that the run in `folder` was given; none where no run is saved."""
    return list(saved_run(folder).get("record", {}).get(GIVEN, ()))


def require_same_request(folder: Path, asked: Mapping[str, Any]) -> None:
    """Compare what the run in `folder` was asked for with what is asked now (`asked_for`), before minutes of
    reading its data; of a state that does not say, nothing is known yet.

    Raises `UsageError` that names each setting in which the two differ.
    """
    saved = saved_run(folder)
    before, then = saved["record"].get(ASKED), dict(_leaves(saved["record"]))
    if before is None:
        return
    # The data may have settled something else than what was asked for; either may be asked for again.
    changed = {name: one for name, one in asked.items() if one not in (before.get(name), then.get(name))}
    _require_same(folder, saved["progress"], then, {**then, **changed})


def require_same_run(
    folder: Path, saved: Mapping[str, Any], record: Mapping[str, Any], config: TrainConfig
) -> None:
    """Compare what was saved of a run in `folder`, `{"record", "progress"}`, with the run that resumes it.

    A finished run may have more steps: the message says what the learning rate does from here.

    Raises `UsageError` that names each setting in which the two runs differ.
    """
    then, now = (dict(_leaves(one)) for one in (saved["record"], record))
    differing = _require_same(folder, saved["progress"], then, now)
    step, before, after = saved["progress"]["step"], then.get("train.steps"), config.steps
    if rank():
        return
    if before is not None and before <= step and before < after:
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


def _require_same(
    folder: Path, progress: Mapping[str, Any], then: Mapping[str, Any], now: Mapping[str, Any]
) -> list[str]:
    """The names that may differ and do. Raises `UsageError` for others."""
    differing = [
        name
        for name in [*then, *(now.keys() - then.keys())]
        if then.get(name) != now.get(name) and not name.endswith(HARMLESS)
    ]
    step, before = progress["step"], then.get("train.steps")
    grown = before is not None and before <= step and before < now["train.steps"]
    early = 0 < now["train.patience"] <= progress["worse"]
    refused = [name for name in differing if not (grown and not early and name.endswith(LENGTH))]
    if refused:
        told = [f"{name} was {then.get(name)!r} and is now {now.get(name)!r}" for name in refused]
        advice = "resume it with its own settings, or choose another output folder"
        if "train.steps" in refused and early:
            advice = (
                f"it ended after {counted(progress['worse'], 'validation')} without an improvement "
                "(train.patience), and would end at once; choose another output folder"
            )
        elif "train.steps" in refused:
            advice += f" (only a finished run takes another train.steps, a larger one: it is at step {step})"
        raise UsageError(f"{folder} holds another run: {listed(told, 5, ', ')}; {advice}")
    return differing


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The fields of nested dictionaries by dotted name, without what the run was asked for and given."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in (ASKED, GIVEN):
                continue
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value
