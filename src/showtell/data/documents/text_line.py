"""A line of printed text and its place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TextLine:
    """A line of text in an image."""

    text: str
    confidence: float
    """Mean probability of its characters, 0 to 1."""
    box: list[list[float]]
    """Four corners `[x, y]` in pixels of the upright image, clockwise from the top left of the text."""
