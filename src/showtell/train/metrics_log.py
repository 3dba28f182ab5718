"""`metrics.jsonl`: one line per step, validation and reading of the monitor."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from showtell.writing import replacing, writing


class Metrics:
    """A JSON Lines file; a resumed run continues it at its step."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        with writing(path):
            if path.is_file():
                self._keep_until(step)
            self._file = path.open("a", encoding="utf-8", buffering=1)

    def _keep_until(self, step: int) -> None:
        """Drop what was logged after the state was saved, and a line that a crash truncated."""
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
