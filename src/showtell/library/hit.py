"""What a search finds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from showtell.library.sight import Sight


@dataclass(frozen=True)
class Hit:
    """An image found, with its score; higher is better."""

    row: int
    """Its position in the library."""
    path: Path
    score: float
    sight: Sight | None = None
    """Its tags and familiarity, where they are stored."""
    first_score: float | None = None
    """By which it was proposed, where a second model ranked it again."""

    @property
    def proposed(self) -> float:
        """The score by which the first model found it."""
        return self.score if self.first_score is None else self.first_score
