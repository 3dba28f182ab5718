"""The collapse alarm of a self-supervised run: its health goes to the log, and a collapse ends it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from showtell.errors import UserError
from showtell.explain.collapse import CollapseMonitor, Health
from showtell.html.curves import write_curves
from showtell.protocols import Step

FIELDS = tuple(field.name for field in fields(Health))


class Alarm:
    """A monitor for `train.loop.train` of a system that `ComparesViews`."""

    def __init__(self, views: Tensor, output: Path, resume: bool) -> None:
        """`views [2 B 3 S S]` of some images, the same at each reading; a resumed run keeps its readings."""
        self._views, self._output = views, output
        self._monitor = CollapseMonitor()
        if resume:
            self._monitor.history += _logged(output / "metrics.jsonl")

    def __call__(self, system: nn.Module, step: int, outcome: Step) -> Mapping[str, float]:
        """The figures of `Health` after `step`.

        Raises `UserError` that says what was seen and what to try, after the curves are written.
        """
        project = cast(Any, system).project
        self._monitor.history = [past for past in self._monitor.history if past[0] < step]
        health = self._monitor.read(step, *(project(view) for view in self._views))
        if self._monitor.collapsed:
            page = self.draw()
            raise UserError(
                f"{self._monitor.verdict()}; {page} shows the curves. Every image gets nearly the same "
                "vector, and more steps will not separate them. Usual causes: a learning rate too high "
                "(lower train.learning_rate), a batch too small for batch norm (raise train.batch_size), "
                "images that are all alike, a target that receives gradients (in a system of your own)"
            )
        return asdict(health)

    def draw(self) -> Path:
        """Write the curves of all readings; return their path."""
        page = self._output / "health.html"
        write_curves(page, "Health of a run", self._monitor.history, self._monitor.verdict())
        return page


def _logged(metrics: Path) -> list[tuple[int, Health]]:
    """The readings in a `metrics.jsonl`; a line that is cut short holds none."""
    found = []
    for line in metrics.read_text("utf-8").splitlines() if metrics.exists() else []:
        try:
            entry = json.loads(line)
            found.append((entry["step"], Health(**{name: entry["monitor"][name] for name in FIELDS})))
        except (ValueError, KeyError):
            continue
    return found
