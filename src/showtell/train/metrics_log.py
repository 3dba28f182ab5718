"""What a run says of itself: every step to `metrics.jsonl`, its progress to the person."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from showtell.writing import replacing, writing

INTERVAL = 10.0
"""Seconds between two lines where there is no terminal."""


class Metrics:
    """A JSON Lines file that a resumed run continues at its step."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        with writing(path):
            if path.is_file():
                self._keep_until(step)
            self._file = path.open("a", encoding="utf-8", buffering=1)

    def _keep_until(self, step: int) -> None:
        """Drop what was logged after the state was saved, and a line that a crash cut in half."""
        kept = []
        for line in self.path.read_text("utf-8").splitlines(keepends=True):
            try:
                if json.loads(line)["step"] > step:
                    break
            except ValueError:
                break
            kept.append(line)
        with replacing(self.path) as file:
            file.write("".join(kept).encode())

    def write(self, line: Mapping[str, Any]) -> None:
        """One JSON object, one line."""
        with writing(self.path):
            self._file.write(json.dumps(line) + "\n")

    def sync(self) -> None:
        """Wait until the lines are on the disk."""
        with writing(self.path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Write what is left."""
        self._file.close()


class Display:
    """A bar on a terminal, a line every ten seconds elsewhere; both on stderr."""

    def __init__(self, steps: int, done: int, console: Console | None = None) -> None:
        self.console = console or Console(file=sys.stderr, soft_wrap=True)
        self.steps, self.first, self.begun = steps, done, time.monotonic()
        self.said = self.begun
        self.bar: Progress | None = None
        if self.console.is_terminal:
            columns = (
                TextColumn("step {task.completed}/{task.total}"),
                BarColumn(),
                TextColumn("{task.description}"),
            )
            self.bar = Progress(*columns, TimeRemainingColumn(), console=self.console)
            self.task = self.bar.add_task("", total=steps, completed=done)

    def __enter__(self) -> Display:
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar:
            self.bar.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        self.console.print(text, markup=False, highlight=False)

    def step(self, step: int, loss: float, rate: float, items_per_second: float) -> None:
        """Show one step, counted from 1."""
        text = f"loss {loss:.3f}  rate {rate:.1e}  {items_per_second:.0f} items/s"
        if self.bar:
            self.bar.update(self.task, completed=step, description=text)
        elif (now := time.monotonic()) - self.said >= INTERVAL or step == self.steps:
            self.said = now
            left = (now - self.begun) / (step - self.first) * (self.steps - step)
            self.say(f"step {step}/{self.steps}  {text}  {left / 60:.1f} min left")
