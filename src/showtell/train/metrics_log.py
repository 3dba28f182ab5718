"""`metrics.jsonl`: one line per step, validation and reading of the monitor."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from showtell.train.state import Progress
from showtell.writing import replacing, writing


class Metrics:
    """A JSON Lines file, which a resumed run continues where its progress stands."""

    def __init__(self, path: Path, progress: Progress) -> None:
        self.path = path
        with writing(path):
            if path.is_file():
                self._keep_until(progress)
            self._file = path.open("a", encoding="utf-8", buffering=1)

    def _keep_until(self, progress: Progress) -> None:
        """Drop what was logged after the state was saved, and a line that a crash truncated."""
        kept = []
        for line in self.path.read_text("utf-8").splitlines(keepends=True):
            try:
                logged = json.loads(line)
                if logged["step"] > (progress.validated if "validation" in logged else progress.step):
                    break
            except ValueError:
                break
            kept.append(line)
        with replacing(self.path) as file:
            file.write("".join(kept).encode())

    def write(self, line: Mapping[str, Any]) -> None:
        """Append one JSON object as a line."""
        with writing(self.path):
            self._file.write(json.dumps(line) + "\n")

    def sync(self) -> None:
        """Wait until the lines are on disk."""
        with writing(self.path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()
