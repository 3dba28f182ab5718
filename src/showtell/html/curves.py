"""The health of a self-supervised run as four curves on one page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from showtell.html.page import write_page

if TYPE_CHECKING:
    from showtell.explain.collapse import Health

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 560, 220, 64, 548, 10, 192
"""Of a chart and of its plotting area, in units of the drawing."""

PANELS: tuple[tuple[str, str, str, float | None], ...] = (
    (
        "std",
        "Standard deviation of a coordinate, times √D",
        "1 when spread evenly, 0 when all are alike",
        1.0,
    ),
    ("effective_rank", "Effective rank", "directions in use; fewer than 2 is a collapse", 2.0),
    ("alignment", "Alignment", "mean squared distance between two views of an image; 0 at best", None),
    (
        "uniformity",
        "Uniformity",
        "logarithm of the mean Gaussian potential of two images; 0 when all are alike",
        0.0,
    ),
)
"""Field of `Health`, its title, its meaning, and the value that a dashed line marks."""


@dataclass(frozen=True)
class Chart:
    """A line chart in the drawing's units."""

    lines: list[str]
    """The `points` of each polyline."""
    mark: float | None
    """Where the dashed line runs."""
    ticks: list[tuple[str, float]]
    """Labels of the vertical axis and where they stand."""
    first: int
    last: int
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT
    top: int = TOP
    bottom: int = BOTTOM


def write_curves(path: Path, title: str, history: Sequence[tuple[int, Health]], verdict: str) -> None:
    """One HTML file with each figure by step.

    Raises `UsageError` when `path` does not end in `.html`, `UserError` when it cannot be written.
    """
    steps = [step for step, _ in history]
    panels = [
        {
            "title": name,
            "note": note,
            "chart": chart(steps, [getattr(health, field) for _, health in history], mark),
        }
        for field, name, note, mark in PANELS
    ]
    write_page(path, "curves", title=title, verdict=verdict, panels=panels)


def chart(steps: Sequence[int], values: Sequence[float], mark: float | None) -> Chart:
    """Values by step, with a dashed line at `mark`; a value that is not finite leaves a gap."""
    finite = [value for value in [*values, *([] if mark is None else [mark])] if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    first, last = (steps[0], steps[-1]) if steps else (0, 1)

    def x(step: float) -> float:
        return LEFT + (step - first) / max(last - first, 1) * (RIGHT - LEFT)

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (BOTTOM - TOP)

    pieces: list[list[str]] = [[]]
    for step, value in zip(steps, values, strict=True):
        if math.isfinite(value):
            pieces[-1].append(f"{x(step):.1f},{y(value):.1f}")
        else:
            pieces.append([])
    return Chart(
        # A point alone is a line from itself to itself: a dot.
        lines=[" ".join(piece * 2 if len(piece) == 1 else piece) for piece in pieces if piece],
        mark=None if mark is None else y(mark),
        ticks=[(f"{value:.3g}", y(value)) for value in (low, high)],
        first=first,
        last=last,
    )
