"""The health of a run as four curves on one page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from showtell.html.page import write_page

if TYPE_CHECKING:
    from showtell.explain.collapse import Health

WIDE, HIGH, LEFT, BELOW, ABOVE = 560, 220, 64, 28, 10  # units of the drawing

PANELS: tuple[tuple[str, str, str, float | None], ...] = (
    (
        "std",
        "Standard deviation of a coordinate, times √D",
        "1 when spread evenly, 0 when all are alike",
        1.0,
    ),
    ("effective_rank", "Effective rank", "directions in use; fewer than 2 is a collapse", 2.0),
    ("alignment", "Alignment", "mean squared distance of two views of an image; 0 at best", None),
    (
        "uniformity",
        "Uniformity",
        "logarithm of the mean closeness of two images; 0 when all are alike",
        0.0,
    ),
)
"""Field of `Health`, its title, what it says, and the value that a dashed line marks."""


def write_curves(path: Path, title: str, history: Sequence[tuple[int, Health]], verdict: str) -> None:
    """One HTML file with what each reading said, by step.

    Raises `UsageError` when `path` does not end in `.html`, `UserError` when it cannot be written.
    """
    steps = [step for step, _ in history]
    panels = "\n".join(
        f"<h2>{escape(name)}</h2>\n<p class=soft>{escape(note)}</p>\n"
        + curve(steps, [getattr(health, field) for _, health in history], mark)
        for field, name, note, mark in PANELS
    )
    body = f"<header><h1>{escape(title)}</h1>\n<p>{escape(verdict)}</p></header>\n<main>\n{panels}\n</main>"
    write_page(path, title, body)


def curve(steps: Sequence[int], values: Sequence[float], mark: float | None) -> str:
    """An SVG of values by step with a dashed line at `mark`; a value that is no number leaves a gap."""
    finite = [value for value in [*values, *([] if mark is None else [mark])] if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    first, last = (steps[0], steps[-1]) if steps else (0, 1)

    def across(step: float) -> float:
        return LEFT + (step - first) / max(last - first, 1) * (WIDE - LEFT - 12)

    def down(value: float) -> float:
        return ABOVE + (high - value) / (high - low) * (HIGH - ABOVE - BELOW)

    pieces: list[list[str]] = [[]]
    for step, value in zip(steps, values, strict=True):
        if math.isfinite(value):
            pieces[-1].append(f"{across(step):.1f},{down(value):.1f}")
        else:
            pieces.append([])
    lines = [
        f'<polyline points="{" ".join(piece * (3 - len(piece)) if len(piece) == 1 else piece)}" fill="none" '
        'stroke="var(--accent)" stroke-width="2.5" stroke-linecap="round" stroke-linejoin="round"/>'
        for piece in pieces
        if piece
    ]
    if mark is not None:
        lines.append(
            f'<line x1="{LEFT}" x2="{WIDE - 12}" y1="{down(mark):.1f}" y2="{down(mark):.1f}" '
            'stroke="var(--soft)" stroke-dasharray="5 5"/>'
        )
    texts = [
        *(
            f'<text x="{LEFT - 8}" y="{down(v) + 4:.1f}" text-anchor="end">{v:.3g}</text>'
            for v in (low, high)
        ),
        f'<text x="{LEFT}" y="{HIGH - 6}">step {first}</text>',
        f'<text x="{WIDE - 12}" y="{HIGH - 6}" text-anchor="end">step {last}</text>',
    ]
    frame = f'<path d="M{LEFT} {ABOVE}V{HIGH - BELOW}H{WIDE - 12}" fill="none" stroke="var(--line)"/>'
    return (
        f'<svg viewBox="0 0 {WIDE} {HIGH}" role="img" style="max-width:{WIDE}px;width:100%;'
        f'font-size:12px;fill:var(--soft)">{frame}{"".join(lines)}{"".join(texts)}</svg>'
    )
